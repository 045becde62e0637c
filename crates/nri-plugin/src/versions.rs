//! Which runtime speaks which NRI version, and what that version can do.
//!
//! Runtimes send their NRI version from 0.12 on; before that it follows from the runtime's name and version.
//! Invariant: whatever is not recognised counts as the oldest version, so that a missing capability is never
//! taken for granted.

use std::fmt;
use std::time::Duration;

use crate::EventSet;
use crate::api::ConfigureRequest;

/// The time limit of a request if the runtime does not state one.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// An NRI release, without its patch level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NriVersion {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl NriVersion {
    /// containerd 1.7, 2.0 and 2.1, and everything unknown.
    pub const V0_8: Self = Self::new(0, 8);
    /// CRI-O 1.33.
    pub const V0_9: Self = Self::new(0, 9);
    /// containerd 2.2.0, CRI-O 1.34: adjusts args and seccomp, validates adjustments.
    pub const V0_10: Self = Self::new(0, 10);
    /// containerd from 2.2.1, CRI-O from 1.35.
    pub const V0_11: Self = Self::new(0, 11);
    /// containerd 2.3: dedicated RPCs for every event, versions exchanged.
    pub const V0_12: Self = Self::new(0, 12);

    /// The version `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads a version such as `v0.12.0` or `0.12`; `None` for anything else.
    pub fn parse(version: &str) -> Option<Self> {
        let release = Release::parse(version)?;
        Some(Self::new(release.0, release.1?))
    }

    /// The NRI version of a runtime that does not state it; the oldest one if the runtime is not known.
    pub fn of_runtime(name: &str, version: &str) -> Self {
        let Some(Release(major, minor, patch)) = Release::parse(version) else {
            return Self::V0_8;
        };
        let release = (major, minor.unwrap_or(0), patch.unwrap_or(0));
        match name.to_ascii_lowercase().as_str() {
            "containerd" => match release {
                (0..=1, ..) | (2, 0..=1, _) => Self::V0_8,
                (2, 2, 0) => Self::V0_10,
                (2, 2, _) => Self::V0_11,
                _ => Self::V0_12,
            },
            "cri-o" | "crio" => match release {
                (0, ..) | (1, 0..=32, _) => Self::V0_8,
                (1, 33, _) => Self::V0_9,
                (1, 34, _) => Self::V0_10,
                _ => Self::V0_11,
            },
            _ => Self::V0_8,
        }
    }
}

impl fmt::Display for NriVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Major, minor and patch of a version; containerd 2.0.0 to 2.0.3 call themselves plain `v2`.
struct Release(u32, Option<u32>, Option<u32>);

impl Release {
    /// Ignores a leading `v` and any suffix that starts with `-`, `+` or `~`.
    fn parse(version: &str) -> Option<Self> {
        let version = version.trim();
        let version = version.strip_prefix('v').unwrap_or(version);
        let numbers = version.split(['-', '+', '~', ' ']).next()?;
        let mut numbers = numbers.split('.').map(|part| part.parse().ok());
        let major = numbers.next()??;
        let minor = numbers.next().map_or(Some(None), |part| part.map(Some))?;
        let patch = numbers.next().flatten();
        Some(Self(major, minor, patch))
    }
}

/// The runtime a plugin is connected to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RuntimeInfo {
    /// Name, such as `containerd` or `cri-o`.
    pub name: String,
    /// Version as the runtime states it.
    pub version: String,
    /// NRI version, stated or inferred.
    pub nri: NriVersion,
    /// The runtime's time limit for a request.
    pub request_timeout: Duration,
}

impl RuntimeInfo {
    /// Describes a runtime, for tests of handlers and for tools.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        nri: NriVersion,
        request_timeout: Duration,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            nri,
            request_timeout,
        }
    }

    /// What a Configure request says about the runtime.
    pub fn from_configure(request: &ConfigureRequest) -> Self {
        let inferred = || NriVersion::of_runtime(&request.runtime_name, &request.runtime_version);
        let request_timeout = match u64::try_from(request.request_timeout) {
            Ok(0) | Err(_) => DEFAULT_REQUEST_TIMEOUT,
            Ok(milliseconds) => Duration::from_millis(milliseconds),
        };
        Self {
            name: request.runtime_name.clone(),
            version: request.runtime_version.clone(),
            nri: NriVersion::parse(&request.nri_version).unwrap_or_else(inferred),
            request_timeout,
        }
    }

    /// Whether the runtime applies adjusted `args`; older ones drop them silently.
    pub fn adjusts_args(&self) -> bool {
        self.nri >= NriVersion::V0_10
    }

    /// Whether the runtime applies adjusted seccomp filters.
    pub fn adjusts_seccomp(&self) -> bool {
        self.nri >= NriVersion::V0_10
    }

    /// Whether the runtime has adjustments validated.
    pub fn validates(&self) -> bool {
        self.nri >= NriVersion::V0_10
    }

    /// The events that the runtime knows; it refuses a plugin that subscribes to any other.
    pub fn known_events(&self) -> EventSet {
        let is_crio = matches!(self.name.to_ascii_lowercase().as_str(), "cri-o" | "crio");
        EventSet::from_mask(match self.nri {
            nri if nri >= NriVersion::V0_10 => 0x3fff,
            // CRI-O 1.33 carries an NRI between 0.9 and 0.10 that has the pod update events.
            NriVersion::V0_9 if is_crio => 0x1fff,
            _ => 0x7ff,
        })
    }

    /// The runtime that is assumed until Configure tells more.
    pub(crate) fn unknown() -> Self {
        Self::new("unknown", "", NriVersion::V0_8, DEFAULT_REQUEST_TIMEOUT)
    }
}

impl fmt::Display for RuntimeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, .. } = self;
        let name = if name.is_empty() { "unknown" } else { name };
        if version.is_empty() {
            write!(f, "{name} (NRI {})", self.nri)
        } else {
            write!(f, "{name} {version} (NRI {})", self.nri)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infers_nri_from_the_runtime() {
        let table = [
            ("containerd", "v1.7.26", NriVersion::V0_8),
            ("containerd", "1.7.28~ds1", NriVersion::V0_8),
            ("containerd", "v2", NriVersion::V0_8),
            ("containerd", "v2.0.4", NriVersion::V0_8),
            ("containerd", "2.1.9", NriVersion::V0_8),
            ("containerd", "v2.2.0", NriVersion::V0_10),
            ("containerd", "v2.2.0-dev", NriVersion::V0_10),
            ("containerd", "2.2.1+unknown", NriVersion::V0_11),
            ("containerd", "v2.2.7", NriVersion::V0_11),
            ("containerd", "v2.3.7", NriVersion::V0_12),
            ("containerd", "v3.0.0", NriVersion::V0_12),
            ("cri-o", "1.32.4", NriVersion::V0_8),
            ("cri-o", "1.33.0", NriVersion::V0_9),
            ("CRI-O", "1.34.2", NriVersion::V0_10),
            ("cri-o", "1.36.0-dev", NriVersion::V0_11),
            ("containerd", "", NriVersion::V0_8),
            ("containerd", "v2.x", NriVersion::V0_8),
            ("something", "9.9.9", NriVersion::V0_8),
        ];
        for (name, version, nri) in table {
            assert_eq!(
                NriVersion::of_runtime(name, version),
                nri,
                "{name} {version}"
            );
        }
    }

    #[test]
    fn a_stated_version_wins_if_it_can_be_read() {
        let mut request = ConfigureRequest {
            runtime_name: "containerd".into(),
            runtime_version: "v2.1.0".into(),
            nri_version: "v0.12.1".into(),
            ..Default::default()
        };
        let runtime = RuntimeInfo::from_configure(&request);
        assert_eq!(runtime.nri, NriVersion::V0_12);
        assert_eq!(runtime.to_string(), "containerd v2.1.0 (NRI 0.12)");
        request.nri_version = "(devel)".into();
        assert_eq!(RuntimeInfo::from_configure(&request).nri, NriVersion::V0_8);
    }

    #[test]
    fn a_runtime_is_offered_only_the_events_it_knows() {
        let mask = |name: &str, version: &str| {
            let nri = NriVersion::of_runtime(name, version);
            RuntimeInfo::new(name, version, nri, DEFAULT_REQUEST_TIMEOUT)
                .known_events()
                .mask()
        };
        assert_eq!(mask("containerd", "v2.1.0"), 0x7ff);
        assert_eq!(mask("cri-o", "1.33.1"), 0x1fff);
        assert_eq!(mask("cri-o", "1.34.1"), 0x3fff);
        assert_eq!(mask("containerd", "v2.3.0"), 0x3fff);
        assert_eq!(mask("other", "v7"), 0x7ff);
    }

    #[test]
    fn a_missing_or_negative_timeout_is_the_default() {
        for (milliseconds, expected) in [(0, 2000), (-5, 2000), (700, 700)] {
            let request = ConfigureRequest {
                request_timeout: milliseconds,
                ..Default::default()
            };
            let timeout = RuntimeInfo::from_configure(&request).request_timeout;
            assert_eq!(timeout, Duration::from_millis(expected));
        }
    }
}
