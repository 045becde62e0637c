//! Following the directory of profiles, on a thread of its own.
//!
//! It is looked at every two seconds: that costs one `stat` a file, works on every file system, and misses no
//! update of a mounted ConfigMap, which replaces links and not files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kubefence_profile::Catalog;
use tracing::{error, info, warn};

use crate::counters::Counters;
use crate::custom_profiles::{Complaint, CustomProfiles, Update};
use crate::profile_dir::{self, Listing};
use crate::readiness::Readiness;
use crate::run::not_ready;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Keeps the profiles of a node those of a directory.
#[derive(Debug)]
pub struct Reloader {
    dir: PathBuf,
    readiness: Arc<Readiness>,
    counters: Arc<Counters>,
    profiles: CustomProfiles,
    /// What was read last.
    seen: Option<Listing>,
    /// What was read and is not published yet.
    waiting: Option<Counts>,
    /// Why the directory could not be read when it was tried last.
    unreadable: Option<String>,
    /// Why plans could not be published when that was tried last.
    unpublished: Option<String>,
    reloads: bool,
}

/// How many profiles there are.
#[derive(Clone, Copy, Debug)]
struct Counts {
    custom: usize,
    broken: usize,
}

impl Reloader {
    /// Nothing is read yet. `built_in` are the profiles that come with kubefence.
    pub fn new(
        dir: PathBuf,
        built_in: Catalog,
        readiness: Arc<Readiness>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            dir,
            readiness,
            counters,
            profiles: CustomProfiles::new(built_in),
            seen: None,
            waiting: None,
            unreadable: None,
            unpublished: None,
            reloads: false,
        }
    }

    /// Follows the directory for ever.
    pub fn run(mut self) {
        loop {
            self.look();
            self.publish();
            std::thread::sleep(INTERVAL);
        }
    }

    /// Reads the directory if it changed.
    fn look(&mut self) {
        match profile_dir::list(&self.dir) {
            Ok(listing) => {
                self.unreadable = None;
                if self.seen.as_ref() != Some(&listing) {
                    self.read(listing);
                }
            }
            Err(error) => {
                self.readiness.without_custom();
                self.directory_failed(error.to_string());
            }
        }
    }

    /// What changes while it is read is read again at the next look: it has another listing then.
    fn read(&mut self, listing: Listing) {
        let files = profile_dir::read(&self.dir, &listing);
        let Update {
            profiles,
            custom,
            broken,
            complaints,
        } = self.profiles.update(&files);
        complaints.iter().for_each(|complaint| self.log(complaint));
        self.readiness.offer(profiles);
        self.waiting = Some(Counts { custom, broken });
        self.seen = Some(listing);
    }

    fn publish(&mut self) {
        // Without a list of the operator's profiles, the built-in ones are published all the same.
        if self.waiting.is_none() && self.readiness.is_ready() {
            return;
        }
        let error = match self.readiness.publish() {
            Ok(_) => {
                self.unpublished = None;
                return self.published();
            }
            Err(error) => error,
        };
        let reason = format!("{error:#}");
        if self.unpublished.as_ref() == Some(&reason) {
            return;
        }
        if self.readiness.is_ready() {
            error!(reason, "profiles not reloaded; it is tried again");
        } else {
            not_ready(&error);
        }
        self.unpublished = Some(reason);
    }

    fn published(&mut self) {
        let Some(Counts { custom, broken }) = self.waiting.take() else {
            return;
        };
        let dir = self.dir.display();
        if self.reloads {
            info!(%dir, custom, broken, "profiles reloaded");
        } else {
            info!(%dir, custom, broken, "profiles loaded");
        }
        self.reloads = true;
    }

    fn directory_failed(&mut self, reason: String) {
        if self.unreadable.as_ref() == Some(&reason) {
            return;
        }
        let (dir, failures) = (self.dir.display(), self.counters.profile_failed());
        error!(
            %dir, reason, kept = self.seen.is_some(), failures,
            "profile directory cannot be read; it is looked for again"
        );
        self.unreadable = Some(reason);
    }

    fn log(&self, complaint: &Complaint) {
        match complaint {
            Complaint::Broken { file, reason, kept } => {
                let failures = self.counters.profile_failed();
                error!(file, reason, kept, failures, "profile file broken");
            }
            Complaint::Ineffective { file, reason } => {
                warn!(file, reason, "profile file partly without effect");
            }
        }
    }
}
