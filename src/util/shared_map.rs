//! Copy-on-write map (persistent map): a clone shares all parts but those that change, so that the cost of an update
//! hardly depends on the number of entries.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use super::hash::FixedHasher;

/// Number of parts. A clone increments one reference count per part; a change copies the entries of a single part.
const PARTS: usize = 256;

/// A map from names to values with cheap, independent clones.
///
/// The iteration order is the same in every run.
#[derive(Clone)]
pub(crate) struct SharedMap<V> {
    /// Empty before the first insertion, so that an empty map owns no memory.
    parts: Box<[Option<Arc<MapPart<V>>>]>,
}

/// The entries of one part (hashes with the same low bits), sorted by hash and name.
#[derive(Debug, Clone)]
struct MapPart<V>(Vec<MapEntry<V>>);

#[derive(Debug, Clone)]
struct MapEntry<V> {
    hash: u64,
    name: Arc<str>,
    value: V,
}

fn hash_of(name: &str) -> u64 {
    let mut hasher = FixedHasher::default();
    hasher.write(name.as_bytes());
    // A second round of mixing: after the first, short names with a common prefix differ only in the high bits, but the
    // low bits choose the part.
    hasher.write_usize(name.len());
    hasher.finish()
}

fn part_of(hash: u64) -> usize {
    hash as usize % PARTS
}

impl<V> MapPart<V> {
    /// `Ok` with the index of a name, or `Err` with the index at which to insert it.
    fn place_of(&self, hash: u64, name: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|entry| entry.hash.cmp(&hash).then_with(|| (*entry.name).cmp(name)))
    }
}

impl<V: Clone> MapPart<V> {
    /// A copy with one more entry, in an allocation of exactly that size.
    fn with(&self, at: usize, entry: MapEntry<V>) -> Self {
        let (before, after) = self.0.split_at(at);
        let mut entries = Vec::with_capacity(self.0.len() + 1);
        entries.extend_from_slice(before);
        entries.push(entry);
        entries.extend_from_slice(after);
        Self(entries)
    }
}

impl<V> SharedMap<V> {
    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        let hash = hash_of(name);
        let part = self.parts.get(part_of(hash))?.as_deref()?;
        let at = part.place_of(hash, name).ok()?;
        part.0.get(at).map(|entry| &entry.value)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        let parts = self.parts.iter().flatten();
        parts.flat_map(|part| part.0.iter().map(|entry| (&entry.name, &entry.value)))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.iter().map(|(name, _)| name)
    }
}

impl<V: Clone> SharedMap<V> {
    /// Inserts a value, and returns the old one.
    pub(crate) fn insert(&mut self, name: Arc<str>, value: V) -> Option<V> {
        let hash = hash_of(&name);
        if self.parts.is_empty() {
            self.parts = (0..PARTS).map(|_| None).collect();
        }
        let part = self.parts[part_of(hash)].get_or_insert_with(|| Arc::new(MapPart(Vec::new())));
        let place = part.place_of(hash, &name);
        let entry = MapEntry { hash, name, value };
        match place {
            Ok(at) => {
                let old = std::mem::replace(&mut Arc::make_mut(part).0[at], entry);
                Some(old.value)
            }
            Err(at) => {
                *part = Arc::new(part.with(at, entry));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<V> {
        let hash = hash_of(name);
        let part = self.parts.get_mut(part_of(hash))?.as_mut()?;
        // Looked up first: `make_mut` would copy a shared part even if the name is not in it.
        let at = part.place_of(hash, name).ok()?;
        Some(Arc::make_mut(part).0.remove(at).value)
    }
}

impl<V> Default for SharedMap<V> {
    fn default() -> Self {
        Self {
            parts: Box::default(),
        }
    }
}

impl<V: Clone> FromIterator<(Arc<str>, V)> for SharedMap<V> {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, V)>>(pairs: I) -> Self {
        let mut map = Self::default();
        for (name, value) in pairs {
            map.insert(name, value);
        }
        map
    }
}

impl<V: fmt::Debug> fmt::Debug for SharedMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn name(number: usize) -> Arc<str> {
        format!("topic-{number}").into()
    }

    fn numbered(count: usize) -> SharedMap<usize> {
        (0..count).map(|number| (name(number), number)).collect()
    }

    #[test]
    fn inserted_entries_are_found_and_no_others() {
        let mut map = SharedMap::default();
        let mut model = BTreeMap::new();
        for step in 0..20_000_usize {
            let name = name(step * 7919 % 3_000);
            if step % 3 == 2 {
                assert_eq!(map.remove(&name), model.remove(&name));
            } else {
                assert_eq!(
                    map.insert(Arc::clone(&name), step),
                    model.insert(name, step)
                );
            }
        }
        for number in 0..3_000 {
            assert_eq!(map.get(&name(number)), model.get(&name(number)));
        }
        let mut found: Vec<_> = map
            .iter()
            .map(|(name, step)| (name.clone(), *step))
            .collect();
        found.sort();
        assert_eq!(found, Vec::from_iter(model));
        assert!(!map.contains("") && !SharedMap::<u8>::default().contains("a"));
        assert_eq!(SharedMap::<u8>::default().remove("a"), None);
    }

    #[test]
    fn a_clone_does_not_see_changes_of_the_original() {
        let mut map = numbered(1_000);
        let before = map.clone();
        map.insert(name(1_000), 1_000);
        map.insert(name(5), 0);
        map.remove(&name(6));
        assert_eq!(
            (before.get(&name(5)), before.get(&name(6))),
            (Some(&5), Some(&6))
        );
        assert!(!before.contains(&name(1_000)));
        assert_eq!((map.get(&name(5)), map.get(&name(6))), (Some(&0), None));
    }

    #[test]
    fn a_change_copies_a_small_part_however_many_names_there_are() {
        for count in [2_000, 8_000, 32_000] {
            let before = numbered(count);
            let mut after = before.clone();
            after.insert("another".into(), 0);
            assert!(after.remove("never there").is_none());
            let pairs = before.parts.iter().zip(&after.parts);
            let at = |part: &Option<Arc<_>>| part.as_ref().map(Arc::as_ptr);
            let changed = pairs.filter(|(old, new)| at(old) != at(new));
            assert_eq!(changed.count(), 1);
            let largest = after.parts.iter().flatten().map(|part| part.0.len()).max();
            assert!(largest <= Some(3 * count / PARTS), "{count}: {largest:?}");
        }
    }

    #[test]
    fn the_iteration_order_does_not_depend_on_earlier_changes() {
        let mut other = numbered(600);
        for number in 300..600 {
            other.remove(&name(number));
        }
        assert!(numbered(300).names().eq(other.names()));
    }
}
