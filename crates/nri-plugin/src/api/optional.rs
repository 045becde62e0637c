//! Wrappers that tell an absent scalar from a zero one.

macro_rules! optional_scalar {
    ($(#[$doc:meta])* $name:ident, $rust:ty, $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
        pub struct $name {
            /// The value.
            #[prost($kind, tag = "1")]
            pub value: $rust,
        }

        impl From<$rust> for $name {
            fn from(value: $rust) -> Self {
                Self { value }
            }
        }
    };
}

optional_scalar!(
    /// A string that may be absent.
    OptionalString, String, string
);
optional_scalar!(
    /// A signed integer that may be absent.
    OptionalInt, i64, int64
);
optional_scalar!(
    /// A signed 32-bit integer that may be absent.
    OptionalInt32, i32, int32
);
optional_scalar!(
    /// An unsigned 32-bit integer that may be absent.
    OptionalUInt32, u32, uint32
);
optional_scalar!(
    /// A signed 64-bit integer that may be absent.
    OptionalInt64, i64, int64
);
optional_scalar!(
    /// An unsigned 64-bit integer that may be absent.
    OptionalUInt64, u64, uint64
);
optional_scalar!(
    /// A boolean that may be absent.
    OptionalBool, bool, bool
);
optional_scalar!(
    /// File permission bits (as in `st_mode`) that may be absent.
    OptionalFileMode, u32, uint32
);

/// A list of strings that may be absent.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OptionalRepeatedString {
    /// The values.
    #[prost(string, repeated, tag = "1")]
    pub value: Vec<String>,
}
