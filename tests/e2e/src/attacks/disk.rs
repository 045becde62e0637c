//! A block device that a privileged pod may read.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::subprocess;

const LIMIT: Duration = Duration::from_secs(10);
const LOSETUP: &str = "losetup";

/// A loop device; it goes when this is dropped, and when this process ends in whatever way.
#[derive(Debug)]
pub(super) struct Disk {
    device: String,
    _open: File,
}

impl Disk {
    /// Makes a device of a file.
    pub(super) fn attach(file: &Path) -> Result<Self> {
        let arguments = ["--find", "--show", &file.to_string_lossy()];
        let device = subprocess::text(Path::new(LOSETUP), &arguments, LIMIT)?;
        let device = device.trim().to_owned();
        let open = File::open(&device);
        // While it is open it only gets marked; the last one who closes it takes it away.
        subprocess::text(Path::new(LOSETUP), &["--detach", &device], LIMIT)?;
        let open = open.with_context(|| format!("cannot open {device}"))?;
        Ok(Self {
            device,
            _open: open,
        })
    }

    /// Its path.
    pub(super) fn device(&self) -> &str {
        &self.device
    }
}
