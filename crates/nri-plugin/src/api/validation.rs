//! Validation of the adjustments that all plugins made to a container.

use std::collections::HashMap;

use super::{Container, ContainerAdjustment, ContainerUpdate, PodSandbox};

/// Asks a validator whether a container may be created as adjusted.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValidateContainerAdjustmentRequest {
    /// The pod of the container.
    #[prost(message, optional, tag = "1")]
    pub pod: Option<PodSandbox>,
    /// The container before any adjustment.
    #[prost(message, optional, tag = "2")]
    pub container: Option<Container>,
    /// The combined adjustment of all plugins.
    #[prost(message, optional, tag = "3")]
    pub adjust: Option<ContainerAdjustment>,
    /// Updates of other containers.
    #[prost(message, repeated, tag = "4")]
    pub update: Vec<ContainerUpdate>,
    /// Which plugin set what.
    #[prost(message, optional, tag = "5")]
    pub owners: Option<OwningPlugins>,
    /// Plugins that were consulted; one that then failed is listed too.
    #[prost(message, repeated, tag = "6")]
    pub plugins: Vec<PluginInstance>,
}

impl ValidateContainerAdjustmentRequest {
    /// The plugin, as `index-name`, that set a simple `field` of the container under validation.
    pub fn owner(&self, field: Field) -> Option<&str> {
        self.field_owners()?
            .simple
            .get(&(field as i32))
            .map(String::as_str)
    }

    /// The plugin, as `index-name`, that set the entry `key` of a compound `field`: an annotation's key, a
    /// mount's destination, a variable's name.
    pub fn entry_owner(&self, field: Field, key: &str) -> Option<&str> {
        let compound = self.field_owners()?.compound.get(&(field as i32))?;
        compound.owners.get(key).map(String::as_str)
    }

    fn field_owners(&self) -> Option<&FieldOwners> {
        let id = &self.container.as_ref()?.id;
        self.owners.as_ref()?.owners.get(id)
    }
}

/// Answer to [`ValidateContainerAdjustmentRequest`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ValidateContainerAdjustmentResponse {
    /// Whether creation must fail.
    #[prost(bool, tag = "1")]
    pub reject: bool,
    /// Why, for people.
    #[prost(string, tag = "2")]
    pub reason: String,
}

/// A registered plugin.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PluginInstance {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Two-digit index.
    #[prost(string, tag = "2")]
    pub index: String,
}

/// Owners of the entries of one compound field, by entry.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CompoundFieldOwners {
    /// Plugin by annotation key, mount destination, variable name and so on.
    #[prost(map = "string, string", tag = "1")]
    pub owners: HashMap<String, String>,
}

/// Owners of the fields of one container; keys are the numbers of [`Field`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct FieldOwners {
    /// Plugin by simple field.
    #[prost(map = "int32, string", tag = "1")]
    pub simple: HashMap<i32, String>,
    /// Owners of the entries by compound field.
    #[prost(map = "int32, message", tag = "2")]
    pub compound: HashMap<i32, CompoundFieldOwners>,
}

/// Owners of the fields of several containers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct OwningPlugins {
    /// Owners by container ID.
    #[prost(map = "string, message", tag = "1")]
    pub owners: HashMap<String, FieldOwners>,
}

/// A field of a container that plugins can adjust, for [`FieldOwners`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)] // named after the adjustment's fields
pub enum Field {
    None = 0,
    Annotations = 1,
    Mounts = 2,
    OciHooks = 3,
    Devices = 4,
    CdiDevices = 5,
    Env = 6,
    Args = 7,
    MemLimit = 8,
    MemReservation = 9,
    MemSwapLimit = 10,
    MemKernelLimit = 11,
    MemTcpLimit = 12,
    MemSwappiness = 13,
    MemDisableOomKiller = 14,
    MemUseHierarchy = 15,
    CpuShares = 16,
    CpuQuota = 17,
    CpuPeriod = 18,
    CpuRealtimeRuntime = 19,
    CpuRealtimePeriod = 20,
    CpuSetCpus = 21,
    CpuSetMems = 22,
    PidsLimit = 23,
    HugepageLimits = 24,
    BlockioClass = 25,
    RdtClass = 26,
    CgroupsUnified = 27,
    CgroupsPath = 28,
    OomScoreAdj = 29,
    Rlimits = 30,
    IoPriority = 31,
    SeccompPolicy = 32,
    Namespace = 33,
    Sysctl = 34,
    LinuxNetDevices = 35,
    LinuxSched = 36,
    RdtClosId = 37,
    RdtSchemata = 38,
    RdtEnableMonitoring = 39,
    MemoryPolicy = 40,
}
