//! The MobileNet family: every network as text of the [language](crate::dsl), under the name of its file.
//!
//! To add one, write `zoo/NAME.mobilec` and a line in the list below, and the widths and resolutions at
//! which it is known in `zoo/variants.rs`.

mod variants;

use crate::dsl::{self, Description};
use crate::error::{Error, Result};
pub use variants::{VARIANTS, Variant};

/// A network of the zoo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! networks {
    ($($name:literal,)*) => {
        /// Every network, the family's order.
        pub const ALL: &[Entry] =
            &[$(Entry { name: $name, text: include_str!(concat!("zoo/", $name, ".mobilec")) }),*];
    };
}

networks! {
    "MobileNetV1",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "MobileNetV3LargeMinimalistic",
    "MobileNetV3SmallMinimalistic",
    "MobileNetV3SmallReducedFilters",
    "MobileNetV3EdgeTPU",
    "MobileNetV3LargeDetection",
    "MobileNetV3SmallDetection",
    "MobileNetMultiAVG",
    "MobileNetMultiMAX",
    "MobileNetMultiAVGSeg",
    "MobileNetMultiMAXSeg",
    "MobileNetV4ConvSmall",
    "MobileNetV4ConvMedium",
    "MobileNetV4ConvLarge",
    "MobileNetV4ConvMediumSeg",
    "MobileNetV4HybridMedium",
    "MobileNetV4HybridLarge",
    "MobileNetEdgeTPUV2XS",
    "MobileNetEdgeTPUV2S",
    "MobileNetEdgeTPUV2M",
    "MobileNetEdgeTPUV2L",
    "timm_mobilenetv1_100h",
    "timm_mobilenetv2_110d",
    "timm_mobilenetv2_120d",
    "timm_mobilenetv3_large_150d",
    "timm_mobilenetv3_small_050",
    "timm_mobilenetv4_conv_small_035",
    "timm_mobilenetv4_conv_small_050",
    "timm_mobilenetv4_hybrid_large_075",
    "timm_mobilenetv4_hybrid_medium_075",
}

/// The network of a name.
///
/// # Errors
///
/// A name that none has; the names that are near are in the message.
pub fn by_name(name: &str) -> Result<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let near: Vec<&str> =
            ALL.iter().map(|entry| entry.name).filter(|other| is_near(name, other)).collect();
        let hint =
            if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
        Error::Usage(format!("there is no {name} in the zoo{hint} `mobilec zoo` lists what there is"))
    })
}

/// Whether one name holds the other, but for letter case and what is no letter or digit.
fn is_near(name: &str, other: &str) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let (name, other) = (plain(name), plain(other));
    name.len() > 2 && (other.contains(&name) || name.contains(&other))
}

impl Entry {
    /// Builds it; `overrides` are options by name, such as `alpha` and `rho`.
    ///
    /// # Errors
    ///
    /// Options that do not exist or do not fit.
    pub fn describe(&self, overrides: &[(String, String)]) -> Result<Description> {
        dsl::describe(&format!("zoo:{}", self.name), self.text, overrides)
    }
}

impl Variant {
    /// The options that make a network this one.
    pub fn options(&self) -> Vec<(String, String)> {
        vec![("alpha".into(), self.alpha.to_string()), ("rho".into(), self.rho.to_string())]
    }
}
