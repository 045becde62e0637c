//! What planning may ask of the node.
//!
//! Paths are the node's own: absolute, and without the directory below which the node's file system may be mounted.
//!
//! Not here: any change. What is planned is done elsewhere.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A node that can be looked at.
pub trait Host {
    /// The content of a file; `None` if there is none. Links are followed as the node itself follows them.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// The paths of what is in a directory, sorted; none if there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// The file that a path leads to through links; `None` if there is none.
    fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>>;

    /// The path of a program: `name` in the usual directories of programs, or, if it is absolute, `name` itself if it
    /// can be executed.
    fn find_program(&self, name: &str) -> Option<PathBuf>;

    /// What a program of the node answers. It runs with the node's file system as its own.
    fn run(&self, program: &Path, args: &[&str]) -> io::Result<Output>;
}
