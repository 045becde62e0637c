//! `nono-runc`: an OCI runtime wrapper that starts no process of a container outside its sandbox.

mod command_line;

fn main() {}
