//! What the plugin counts and measures, in the form that Prometheus scrapes.
//!
//! Invariant: the labels of every metric are fixed when the plugin starts. No name of a pod, container, profile or
//! handler is one, because pods could make up ever new ones.
//!
//! Not here: what is known elsewhere already, such as how many profiles are published. It is asked for when metrics are
//! [read](Metrics::encode), so that no number can fall behind what it counts.

mod refusals;

use std::time::{Duration, SystemTime};

use kubefence_profile::Abi;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use self::refusals::Reason;
use crate::health::Health;

/// The one label of a metric that has any, and its value.
type Label = [(&'static str, &'static str); 1];

/// Upper bounds of the histogram's buckets in seconds: from what one container takes to the runtime's own limit.
const BUCKETS: [f64; 12] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0,
];

/// What becomes of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The runtime has created it, wrapped.
    Inject,
    /// The guard has wrapped what the runtime is about to start.
    Guard,
    /// Its handler is not ours.
    Skip,
    /// The runtime was told that it must not exist, or not start.
    Refuse,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Inject, Self::Guard, Self::Skip, Self::Refuse];

    /// As logs and metrics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inject => "inject",
            Self::Guard => "guard",
            Self::Skip => "skip",
            Self::Refuse => "refuse",
        }
    }

    fn label(self) -> Label {
        [("decision", self.as_str())]
    }
}

/// All metrics of a plugin.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<Label, Counter>,
    refusals: Family<Label, Counter>,
    create_container: Histogram,
    /// Annotations that ask for a profile with something that is no profile name.
    pub invalid_annotations: Counter,
    /// Containers that run bare although their handler is configured.
    pub unsandboxed: Gauge,
    /// How often the containers of a runtime could not be judged at connection.
    pub synchronize_failures: Counter,
    /// Connections after the first one.
    pub reconnects: Counter,
    /// Files of profiles that cannot be used as they are.
    pub broken_profile_files: Gauge,
    profile_failures: Counter,
    /// Attempts to publish plans that failed.
    pub publish_failures: Counter,
    published: Gauge,
    landlock_abi: Gauge,
    connected: Gauge,
    ready: Gauge,
    profiles: Family<Label, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("kubefence"),
            decisions: Family::default(),
            refusals: Family::default(),
            create_container: Histogram::new(BUCKETS),
            invalid_annotations: Counter::default(),
            unsandboxed: Gauge::default(),
            synchronize_failures: Counter::default(),
            reconnects: Counter::default(),
            broken_profile_files: Gauge::default(),
            profile_failures: Counter::default(),
            publish_failures: Counter::default(),
            published: Gauge::default(),
            landlock_abi: Gauge::default(),
            connected: Gauge::default(),
            ready: Gauge::default(),
            profiles: Family::default(),
        };
        metrics.register_containers();
        metrics.register_runtime();
        metrics.register_profiles();
        metrics
    }
}

impl Metrics {
    fn register_containers(&mut self) {
        // Series that exist from the start, at zero: an increase from nothing to one is none to Prometheus.
        for decision in Decision::ALL {
            self.decisions.get_or_create_owned(&decision.label());
        }
        for reason in Reason::ALL {
            self.refusals.get_or_create_owned(&reason.label());
        }
        let registry = &mut self.registry;
        let help = "Containers by what became of them";
        registry.register("decisions", help, self.decisions.clone());
        let help = "Containers that the runtime was told not to create or start, by the reason";
        registry.register("refusals", help, self.refusals.clone());
        let help = "Time to answer CreateContainer, without the way there and back";
        let (name, histogram) = ("create_container", self.create_container.clone());
        registry.register_with_unit(name, help, Unit::Seconds, histogram);
        let help = "Containers that were found running bare although their handler is configured";
        registry.register("unsandboxed_containers", help, self.unsandboxed.clone());
        let help = "Profile annotations whose value is no profile name";
        let counter = self.invalid_annotations.clone();
        registry.register("invalid_annotations", help, counter);
    }

    fn register_runtime(&mut self) {
        let registry = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The plugin's version", version);
        let help = "Whether the plugin is registered with the runtime";
        registry.register("connected", help, self.connected.clone());
        let help = "Connections to the runtime after the first one";
        registry.register("reconnects", help, self.reconnects.clone());
        let help = "How often the containers that were there before could not be judged";
        let counter = self.synchronize_failures.clone();
        registry.register("synchronize_failures", help, counter);
        let help =
            "Whether containers of the configured handlers can be sandboxed: what /readyz says";
        registry.register("ready", help, self.ready.clone());
        let help = "The kernel's Landlock ABI, 0 without Landlock";
        registry.register("landlock_abi", help, self.landlock_abi.clone());
    }

    fn register_profiles(&mut self) {
        let registry = &mut self.registry;
        let help = "Profiles by whether containers can be given them";
        registry.register("profiles", help, self.profiles.clone());
        let help = "Files of profile_dir that cannot be used as they are";
        let gauge = self.broken_profile_files.clone();
        registry.register("broken_profile_files", help, gauge);
        let help = "Profile files, and looks at profile_dir, that turned out to be unusable";
        let counter = self.profile_failures.clone();
        registry.register("profile_reload_failures", help, counter);
        let help = "When plans were published last, 0 for never";
        let (name, gauge) = ("profile_reload_success_timestamp", self.published.clone());
        registry.register_with_unit(name, help, Unit::Seconds, gauge);
        let help = "Attempts to publish plans that failed";
        let counter = self.publish_failures.clone();
        registry.register("profile_publish_failures", help, counter);
    }

    /// Counts a container by what became of it. Refusals count by [`Self::refused`].
    pub fn decided(&self, decision: Decision) {
        self.decisions.get_or_create(&decision.label()).inc();
    }

    /// Counts a container that the runtime was told not to create or start.
    pub fn refused(&self, reason: Reason) {
        self.decided(Decision::Refuse);
        self.refusals.get_or_create(&reason.label()).inc();
    }

    /// Adds the time that an answer to CreateContainer took.
    pub fn answered_create_container(&self, time: Duration) {
        self.create_container.observe(time.as_secs_f64());
    }

    /// Counts a profile file, or a look at the directory of profiles, that turned out to be unusable; returns how many
    /// there are now.
    pub fn profile_failed(&self) -> u64 {
        self.profile_failures.inc() + 1
    }

    /// Notes that plans were published.
    pub fn published(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = now.map_or(0, |now| now.as_secs());
        self.published.set(seconds.try_into().unwrap_or(i64::MAX));
    }

    /// States the Landlock ABI that plans are made for.
    pub fn landlock_abi(&self, abi: Abi) {
        self.landlock_abi.set(i64::from(abi));
    }

    /// All metrics as text (OpenMetrics 1.0), with what `health` knows by now.
    ///
    /// # Errors
    ///
    /// Fails if a metric cannot be written down, which would be a mistake in this file.
    pub fn encode(&self, health: &Health) -> Result<String, std::fmt::Error> {
        self.connected.set(i64::from(health.is_connected()));
        self.ready.set(i64::from(health.obstacles().is_empty()));
        let profiles = health.profiles();
        for (state, count) in [("usable", profiles.usable), ("unusable", profiles.unusable)] {
            let gauge = self.profiles.get_or_create_owned(&[("state", state)]);
            gauge.set(count.try_into().unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
