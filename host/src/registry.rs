//! Lists by name that a program can add to: environments and source algorithms.

use std::sync::{PoisonError, RwLock};

/// The entries of this repository, and then those that a program added.
pub(crate) struct Registry<E: 'static> {
    built_in: &'static [E],
    added: RwLock<Vec<E>>,
}

impl<E> Registry<E> {
    /// The list of this repository.
    pub const fn new(built_in: &'static [E]) -> Self {
        Self { built_in, added: RwLock::new(Vec::new()) }
    }

    /// The first result of `body` over the entries.
    pub fn find<T>(&self, body: impl Fn(&E) -> Option<T>) -> Option<T> {
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        self.built_in.iter().chain(added.iter()).find_map(body)
    }

    /// The names that each entry has, entry by entry.
    pub fn names(&self, of: impl Fn(&E) -> Vec<&'static str>) -> Vec<&'static str> {
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        self.built_in.iter().chain(added.iter()).flat_map(of).collect()
    }

    /// Adds `entry`, unless one that is there shares a name with it: then that name is the error.
    pub fn add(&self, entry: E, names: impl Fn(&E) -> Vec<&'static str>) -> Result<(), &'static str> {
        let new = names(&entry);
        let mut added = self.added.write().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self.built_in.iter().chain(added.iter()).flat_map(names);
        if let Some(name) = taken.find(|name| new.contains(name)) {
            return Err(name);
        }
        added.push(entry);
        Ok(())
    }
}
