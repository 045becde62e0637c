//! What the handlers of an installation tell.

use std::collections::BTreeSet;

use super::Manifest;

impl Manifest {
    /// Whether the handlers that the runtime knows show that it was restarted, while that is pending.
    pub(crate) fn restart_shows(&self, known: Option<&BTreeSet<String>>) -> bool {
        let all = |known: &BTreeSet<String>| self.handlers.iter().all(|name| known.contains(name));
        self.restart_pending && self.handlers_show_restart && known.is_some_and(all)
    }

    /// The handlers, and those that were.
    pub(crate) fn all_handlers(&self) -> Vec<String> {
        [self.handlers.as_slice(), &self.former_handlers].concat()
    }
}
