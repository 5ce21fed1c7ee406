//! Numbers that are read without a lock.

use std::sync::Arc;

use loom::thread;

use super::check;
use crate::planted::Defect;
use crate::sync::SeqLock;

#[test]
fn a_reader_gets_the_numbers_of_one_write() {
    check(3, &[Defect::TornNumbersRead], || {
        let lock = Arc::new(SeqLock::new([0, 0]));
        let writers = [1, 2].map(|number| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.try_write(|_| [number, number]))
        });
        let reader = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                if let Some([one, other]) = lock.read() {
                    assert_eq!(one, other);
                }
            })
        };
        for thread in writers.into_iter().chain([reader]) {
            thread.join().unwrap();
        }
        let [one, other] = lock.read().expect("nobody writes any more");
        assert!(one == other && one > 0);
    });
}
