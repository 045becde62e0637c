//! The machine that the numbers come from.

use std::fs;

/// One line: processor, cores, kernel, Landlock ABI.
pub fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let release = kernel
        .trim()
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned();
    let abi = kubefence_plugin::kernel::landlock_abi();
    format!("Machine: {model}, {cores} cores, Linux {release}, Landlock ABI {abi}.")
}
