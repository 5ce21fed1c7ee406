//! Runs the functions of the fuzz targets on their seeds and on some thousands of changed seeds, so that a broken
//! target is detected without fuzzing. `fuzz/README.md` explains how to fuzz.
#![allow(clippy::unwrap_used, reason = "tests: they fail by panicking")]

use std::fs;
use std::path::Path;

use fastrand::Rng;
use kafka_producer::internals::ENTRANCES;

/// The number of changed inputs for each entry point.
const CHANGED: usize = 5_000;
/// Values that are invalid for most lengths, counts and numbers.
const EXTREMES: [i32; 6] = [-1, 0, 1, i32::MAX, i32::MIN, 0x00ff_ffff];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Makes one change: replaces, increments, decrements or inserts a byte, truncates the input, overwrites a number, or
/// replaces the end by that of another seed.
fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Rng) {
    if input.is_empty() {
        input.push(random.u8(..));
    }
    let at = random.usize(..input.len());
    match random.u8(..6) {
        0 => input[at] = random.u8(..),
        1 => input[at] = input[at].wrapping_add(if random.bool() { 1 } else { 255 }),
        2 => input.insert(at, random.u8(..)),
        3 => input.truncate(at),
        4 => {
            let number = EXTREMES[random.usize(..EXTREMES.len())].to_be_bytes();
            let width = random.usize(1..=number.len()).min(input.len() - at);
            input[at..at + width].copy_from_slice(&number[..width]);
        }
        _ => {
            let other = &seeds[random.usize(..seeds.len())];
            input.truncate(at);
            input.extend_from_slice(&other[random.usize(..=other.len())..]);
        }
    }
}

#[test]
fn the_fuzz_targets_do_not_panic_on_their_seeds() {
    for &(target, entrance) in ENTRANCES {
        let seeds = seeds(target);
        assert!(seeds.len() >= 2, "{target} has {} seeds", seeds.len());
        for seed in &seeds {
            entrance(seed);
        }
    }
}

#[test]
fn the_fuzz_targets_do_not_panic_on_thousands_of_changed_seeds() {
    for &(target, entrance) in ENTRANCES {
        let seeds = seeds(target);
        let mut random = Rng::with_seed(0x5eed);
        for _ in 0..CHANGED {
            let mut input = seeds[random.usize(..seeds.len())].clone();
            for _ in 0..random.usize(1..=4) {
                change(&mut input, &seeds, &mut random);
            }
            let outcome = std::panic::catch_unwind(|| entrance(&input));
            assert!(outcome.is_ok(), "{target} does not hold on {input:02x?}");
        }
    }
}

#[test]
fn every_fuzz_target_has_an_entry_point_and_every_entry_point_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut targets: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_owned())
        .collect();
    targets.sort();
    let names = ENTRANCES
        .iter()
        .map(|(name, _)| std::ffi::OsString::from(name));
    let mut entrances: Vec<_> = names.collect();
    entrances.sort();
    assert_eq!(targets, entrances);
}
