//! Keeping what is published up to date, on a thread of its own: following the directory of profiles, and
//! looking whether launcher and plans are still there.
//!
//! Both are looked at every two seconds: that costs one `stat` a profile, works on every file system, and misses no
//! update of a mounted ConfigMap, which replaces links and not files. Plans are read whole: most damage shows nowhere
//! else. A container that is created before that is noticed does not run: its launcher is not there, or finds the plan
//! cut short.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kubefence_profile::Catalog;
use tracing::{error, info, warn};

use crate::custom_profiles::{Complaint, CustomProfiles, Update};
use crate::metrics::Metrics;
use crate::profile_dir::{self, Listing};
use crate::readiness::Readiness;
use crate::run::not_ready;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Keeps what a node has published up to date.
#[derive(Debug)]
pub struct Reloader {
    /// The directory of the operator's profiles, if there is one.
    dir: Option<PathBuf>,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
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
        dir: Option<PathBuf>,
        built_in: Catalog,
        readiness: Arc<Readiness>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            dir,
            readiness,
            metrics,
            profiles: CustomProfiles::new(built_in),
            seen: None,
            waiting: None,
            unreadable: None,
            unpublished: None,
            reloads: false,
        }
    }

    /// Goes on for ever.
    pub fn run(mut self) {
        loop {
            if let Some(dir) = self.dir.clone() {
                self.look(&dir);
            }
            self.recheck();
            self.publish();
            std::thread::sleep(INTERVAL);
        }
    }

    /// Reads the directory if it changed.
    fn look(&mut self, dir: &Path) {
        match profile_dir::list(dir) {
            Ok(listing) => {
                self.unreadable = None;
                if self.seen.as_ref() != Some(&listing) {
                    self.read(dir, listing);
                }
            }
            Err(error) => {
                self.readiness.without_custom();
                self.directory_failed(dir, error.to_string());
            }
        }
    }

    /// What is gone or damaged is put right by the attempt to publish that follows, if it can be.
    fn recheck(&self) {
        for reason in self.readiness.recheck() {
            warn!(reason, "published files damaged; put right if possible");
        }
    }

    /// What changes while it is read is read again at the next look: it has another listing then.
    fn read(&mut self, dir: &Path, listing: Listing) {
        let files = profile_dir::read(dir, &listing);
        let Update {
            profiles,
            custom,
            broken,
            complaints,
        } = self.profiles.update(&files);
        complaints.iter().for_each(|complaint| self.log(complaint));
        self.metrics
            .broken_profile_files
            .set(broken.try_into().unwrap_or(i64::MAX));
        self.readiness.offer(profiles);
        self.waiting = Some(Counts { custom, broken });
        self.seen = Some(listing);
    }

    fn publish(&mut self) {
        // Without a list of the operator's profiles, the built-in ones are published all the same.
        if self.waiting.is_none() && self.readiness.is_intact() {
            return;
        }
        let error = match self.readiness.publish() {
            Ok(_) => {
                self.unpublished = None;
                self.metrics.published();
                return self.published();
            }
            Err(error) => error,
        };
        self.metrics.publish_failures.inc();
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
        let (Some(Counts { custom, broken }), Some(dir)) = (self.waiting.take(), &self.dir) else {
            return;
        };
        let dir = dir.display();
        if self.reloads {
            info!(%dir, custom, broken, "profiles reloaded");
        } else {
            info!(%dir, custom, broken, "profiles loaded");
        }
        self.reloads = true;
    }

    fn directory_failed(&mut self, dir: &Path, reason: String) {
        if self.unreadable.as_ref() == Some(&reason) {
            return;
        }
        let (dir, failures) = (dir.display(), self.metrics.profile_failed());
        error!(
            %dir, reason, kept = self.seen.is_some(), failures,
            "profile directory cannot be read; it is looked for again"
        );
        self.unreadable = Some(reason);
    }

    fn log(&self, complaint: &Complaint) {
        match complaint {
            Complaint::Broken { file, reason, kept } => {
                let failures = self.metrics.profile_failed();
                error!(file, reason, kept, failures, "profile file broken");
            }
            Complaint::Ineffective { file, reason } => {
                warn!(file, reason, "profile file partly without effect");
            }
        }
    }
}
