//! What the node's kernel can enforce.

use landlock::{LandlockStatus, RestrictSelf};

/// The Landlock ABI of the running kernel, or 0 without Landlock. Asks the kernel: distributions
/// back-port Landlock, so its version says nothing.
pub fn landlock_abi() -> u32 {
    // Without flags and without no_new_privs this applies nothing; it only probes.
    let status = RestrictSelf::default().no_new_privs(false).apply();
    match status.map(|status| status.landlock) {
        Ok(LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        }) => kernel_abi
            .and_then(|abi| u32::try_from(abi).ok())
            .unwrap_or(effective_abi as u32),
        _ => 0,
    }
}
