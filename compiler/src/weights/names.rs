//! How files call the tensors of a network: our own names, and those of torchvision and timm for the
//! networks of the zoo that they have as well.

use crate::dsl::{Network, Padding, Parameter, Part, Settings};
use crate::error::Fault;

/// By which names a file calls its tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// Those of the [module documentation](super).
    #[default]
    Own,
    /// torchvision's.
    Torchvision,
    /// timm's.
    Timm,
}

/// Names of one layer, without the word behind the last point.
pub(super) struct Names {
    /// Of the convolution or dense layer.
    pub layer: String,
    /// Of the batch-norm behind it.
    pub norm: String,
    /// Of the layer scale.
    pub scale: String,
    /// The layer scale's word.
    pub scale_word: &'static str,
}

impl Naming {
    /// The naming of that word.
    ///
    /// # Errors
    ///
    /// A word that is none.
    pub fn of_word(word: &str) -> Result<Self, Fault> {
        match word {
            "own" => Ok(Self::Own),
            "torchvision" => Ok(Self::Torchvision),
            "timm" => Ok(Self::Timm),
            _ => Err(Fault::model(format!("names = {word}; it takes own, torchvision or timm"))),
        }
    }

    /// Its word.
    const fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Torchvision => "torchvision",
            Self::Timm => "timm",
        }
    }

    /// What is to be said when weights of that kind meet a network that is built as others build theirs.
    pub(super) fn caution(self, settings: &Settings) -> Option<String> {
        let theirs = match self {
            Self::Own => return None,
            Self::Torchvision => "torchvision's",
            Self::Timm => "timm's, but for those called tf_,",
        };
        (settings.padding != Padding::Symmetric).then(|| {
            format!("networks of {theirs} pad symmetrically; this one does not: padding = symmetric, bn_eps = 1e-5")
        })
    }

    pub(super) fn names(self, network: &Network, parameter: &Parameter) -> Result<Names, Fault> {
        let layer = network.layer(parameter);
        let found = match self {
            Self::Own => Some(own(network, parameter, layer)),
            Self::Torchvision => torchvision(network, parameter),
            Self::Timm => timm(network, parameter),
        };
        found.ok_or_else(|| {
            Fault::unsupported(format!("its name in {} is not known", self.word())).help(
                "call the tensors by their own names, or take a network of the zoo that they have as well",
            )
        })
    }
}

fn own(network: &Network, parameter: &Parameter, layer: String) -> Names {
    let block = &network.blocks[parameter.block];
    let alone = block.word == "batch_norm" || parameter.part == Part::Norm;
    let norm = if alone { layer.clone() } else { format!("{layer}.bn") };
    let path = &block.path;
    let scale = if block.word == "layer_scale" { path.clone() } else { format!("{path}.layer_scale") };
    Names { layer, norm, scale, scale_word: "weight" }
}

/// Lengths of the stages that a network has in timm; its stem comes before them. timm's EdgeTPU of V3 is
/// not among them: it has an activation more than TensorFlow's.
#[rustfmt::skip]
const TIMM: &[(&str, &[usize])] = &[
    ("MobileNetV1",                       &[1, 2, 2, 6, 2]),
    ("MobileNetV2",                       &[1, 2, 3, 4, 3, 3, 1]),
    ("MobileNetV3Large",                  &[1, 2, 3, 4, 2, 3, 1]),
    ("MobileNetV3Small",                  &[1, 2, 3, 2, 3, 1]),
    ("MobileNetV3LargeMinimalistic",      &[1, 2, 3, 4, 2, 3, 1]),
    ("MobileNetV3SmallMinimalistic",      &[1, 2, 3, 2, 3, 1]),
    ("MobileNetV4ConvSmall",              &[2, 2, 6, 6, 1]),
    ("MobileNetV4ConvMedium",             &[1, 2, 8, 11, 1]),
    ("MobileNetV4ConvLarge",              &[1, 2, 11, 13, 1]),
    ("MobileNetV4HybridMedium",           &[1, 2, 12, 16, 1]),
    ("MobileNetV4HybridLarge",            &[1, 2, 15, 18, 1]),
    ("MobileNetEdgeTPUV2XS",              &[1, 2, 4, 4, 4, 4, 1]),
    ("MobileNetEdgeTPUV2S",               &[1, 2, 4, 4, 4, 4, 1]),
    ("MobileNetEdgeTPUV2M",               &[1, 2, 4, 4, 4, 4, 1]),
    ("MobileNetEdgeTPUV2L",               &[1, 2, 4, 4, 4, 4, 1]),
    ("timm_mobilenetv1_100h",             &[1, 2, 2, 6, 2]),
    ("timm_mobilenetv2_110d",             &[1, 3, 4, 5, 4, 4, 1]),
    ("timm_mobilenetv2_120d",             &[1, 3, 5, 6, 5, 5, 1]),
    ("timm_mobilenetv3_large_150d",       &[2, 3, 4, 5, 3, 4, 2]),
    ("timm_mobilenetv3_small_050",        &[1, 2, 3, 2, 3, 1]),
    ("timm_mobilenetv4_conv_small_035",   &[2, 2, 6, 6, 1]),
    ("timm_mobilenetv4_conv_small_050",   &[2, 2, 6, 6, 1]),
    ("timm_mobilenetv4_hybrid_medium_075", &[1, 2, 12, 16, 1]),
    ("timm_mobilenetv4_hybrid_large_075", &[1, 2, 15, 18, 1]),
];

/// The networks of torchvision, with the name of the sequence in their bottlenecks.
const TORCHVISION: &[(&str, &str)] = &[
    ("MobileNetV2", "conv"),
    ("MobileNetV3Large", "block"),
    ("MobileNetV3Small", "block"),
    ("MobileNetV3LargeDetection", "block"),
];

/// Which names of others a network's tensors may have.
pub fn of_network(name: &str) -> Vec<Naming> {
    let torchvision = TORCHVISION.iter().any(|(known, _)| *known == name).then_some(Naming::Torchvision);
    let timm = TIMM.iter().any(|(known, _)| *known == name).then_some(Naming::Timm);
    torchvision.into_iter().chain(timm).collect()
}

fn names(layer: String, norm: String) -> Names {
    Names { layer, norm, scale: String::new(), scale_word: "gamma" }
}

/// Whether the pool comes before a block.
fn is_pooled(network: &Network, block: usize) -> bool {
    network.blocks[..block].iter().any(|block| block.word == "global_avg_pool")
}

/// Whether a bottleneck has an expansion of its own.
fn expands(network: &Network, block: usize) -> bool {
    network.parameters.iter().any(|p| p.block == block && p.part == Part::Expand)
}

fn torchvision(network: &Network, parameter: &Parameter) -> Option<Names> {
    let (_, sequence) = TORCHVISION.iter().find(|(name, _)| *name == network.graph.name)?;
    let (at, pooled) = (parameter.block, is_pooled(network, parameter.block));
    let has_head =
        network.blocks.iter().enumerate().any(|(i, b)| b.word == "pointwise" && is_pooled(network, i));
    let pair = |prefix: &str| names(format!("{prefix}.0"), format!("{prefix}.1"));
    let first = usize::from(expands(network, at));
    let gated = network.parameters.iter().any(|p| p.block == at && p.part == Part::Reduce);
    let inside = |index: usize| format!("features.{at}.{sequence}.{index}");
    Some(match (network.blocks[at].word, parameter.part) {
        ("conv" | "pointwise", _) if !pooled => pair(&format!("features.{at}")),
        ("pointwise", _) => names("classifier.0".into(), String::new()),
        ("dense", _) => names(if has_head { "classifier.3" } else { "classifier.1" }.into(), String::new()),
        ("inverted_residual", Part::Expand) => pair(&inside(0)),
        ("inverted_residual", Part::Depthwise) => pair(&inside(first)),
        ("inverted_residual", Part::Reduce) => names(inside(first + 1) + ".fc1", String::new()),
        ("inverted_residual", Part::Excite) => names(inside(first + 1) + ".fc2", String::new()),
        // V2's linear projection stands bare in the sequence, with its batch-norm behind it.
        ("inverted_residual", Part::Project) if *sequence == "conv" => {
            names(inside(first + 1), inside(first + 2))
        }
        ("inverted_residual", Part::Project) => pair(&inside(first + 1 + usize::from(gated))),
        _ => return None,
    })
}

fn timm(network: &Network, parameter: &Parameter) -> Option<Names> {
    let (_, stages) = TIMM.iter().find(|(name, _)| *name == network.graph.name)?;
    let (at, pooled) = (parameter.block, is_pooled(network, parameter.block));
    let word = network.blocks[at].word;
    if at == 0 {
        return Some(names("conv_stem".into(), "bn1".into()));
    }
    if word == "dense" {
        return Some(names("classifier".into(), String::new()));
    }
    let Some(prefix) = stage(stages, at - 1) else {
        return Some(names("conv_head".into(), if pooled { "norm_head" } else { "bn2" }.into()));
    };
    let inside = |layer: &str, norm: &str| Names {
        layer: format!("{prefix}.{layer}"),
        norm: format!("{prefix}.{norm}"),
        scale: format!("{prefix}.layer_scale"),
        scale_word: "gamma",
    };
    let first = !expands(network, at);
    Some(match (word, parameter.part) {
        ("conv" | "pointwise", _) => inside("conv", "bn1"),
        ("separable", Part::Depthwise) => inside("conv_dw", "bn1"),
        ("separable", Part::Pointwise) => inside("conv_pw", "bn2"),
        ("inverted_residual", Part::Expand) => inside("conv_pw", "bn1"),
        ("inverted_residual", Part::Depthwise) => inside("conv_dw", if first { "bn1" } else { "bn2" }),
        ("inverted_residual", Part::Project) if first => inside("conv_pw", "bn2"),
        ("inverted_residual", Part::Project) => inside("conv_pwl", "bn3"),
        ("inverted_residual", Part::Reduce) => inside("se.conv_reduce", ""),
        ("inverted_residual", Part::Excite) => inside("se.conv_expand", ""),
        ("fused_inverted_residual", Part::Expand) => inside("conv_exp", "bn1"),
        ("fused_inverted_residual", Part::Project) => inside("conv_pwl", "bn2"),
        ("uib", Part::Start) => inside("dw_start.conv", "dw_start.bn"),
        ("uib", Part::Expand) => inside("pw_exp.conv", "pw_exp.bn"),
        ("uib", Part::Middle) => inside("dw_mid.conv", "dw_mid.bn"),
        ("uib", Part::Project) => inside("pw_proj.conv", "pw_proj.bn"),
        ("uib" | "mqa", Part::Whole) => inside("", ""),
        ("mqa", Part::Norm) => inside("norm", "norm"),
        ("mqa", Part::Query) => inside("attn.query.proj", ""),
        ("mqa", Part::QueryDown) => inside("", "attn.query.norm"),
        ("mqa", Part::Key) => inside("attn.key.proj", ""),
        ("mqa", Part::KeyDown) => inside("attn.key.down_conv", "attn.key.norm"),
        ("mqa", Part::Value) => inside("attn.value.proj", ""),
        ("mqa", Part::ValueDown) => inside("attn.value.down_conv", "attn.value.norm"),
        ("mqa", Part::Output) => inside("attn.output.proj", ""),
        _ => return None,
    })
}

/// `blocks.STAGE.BLOCK` of the block at a position behind the stem.
fn stage(stages: &[usize], mut at: usize) -> Option<String> {
    for (stage, &length) in stages.iter().enumerate() {
        if at < length {
            return Some(format!("blocks.{stage}.{at}"));
        }
        at -= length;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo;

    /// The names of some layers, as they stand in the state dictionaries of the networks' models.
    fn check(naming: Naming, network: &str, expected: &[(&str, &str, &str)]) {
        let network = zoo::by_name(network).unwrap().describe(&[]).unwrap().network;
        for (layer, name, norm) in expected {
            let parameter = network.parameters.iter().find(|p| network.layer(p) == *layer).unwrap();
            let names = naming.names(&network, parameter).unwrap();
            assert_eq!((&*names.layer, &*names.norm), (*name, *norm), "{layer}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn torchvision_numbers_the_layers_of_a_sequence() {
        check(Naming::Torchvision, "MobileNetV2", &[
            ("conv_0",                        "features.0.0",         "features.0.1"),
            ("inverted_residual_1.depthwise", "features.1.conv.0.0",  "features.1.conv.0.1"),
            ("inverted_residual_1.project",   "features.1.conv.1",    "features.1.conv.2"),
            ("inverted_residual_7.expand",    "features.7.conv.0.0",  "features.7.conv.0.1"),
            ("inverted_residual_7.depthwise", "features.7.conv.1.0",  "features.7.conv.1.1"),
            ("inverted_residual_7.project",   "features.7.conv.2",    "features.7.conv.3"),
            ("pointwise_18",                  "features.18.0",        "features.18.1"),
            ("dense_20",                      "classifier.1",         ""),
        ]);
        check(Naming::Torchvision, "MobileNetV3Small", &[
            ("inverted_residual_1.depthwise", "features.1.block.0.0", "features.1.block.0.1"),
            ("inverted_residual_1.se.reduce", "features.1.block.1.fc1", ""),
            ("inverted_residual_1.project",   "features.1.block.2.0", "features.1.block.2.1"),
            ("inverted_residual_4.se.expand", "features.4.block.2.fc2", ""),
            ("inverted_residual_4.project",   "features.4.block.3.0", "features.4.block.3.1"),
            ("pointwise_14",                  "classifier.0",         ""),
            ("dense_15",                      "classifier.3",         ""),
        ]);
    }

    #[test]
    #[rustfmt::skip]
    fn timm_counts_stages_and_blocks() {
        check(Naming::Timm, "MobileNetV1", &[
            ("conv_0",                "conv_stem",           "bn1"),
            ("separable_5.depthwise", "blocks.2.1.conv_dw",  "blocks.2.1.bn1"),
            ("separable_5.pointwise", "blocks.2.1.conv_pw",  "blocks.2.1.bn2"),
            ("dense_15",              "classifier",          ""),
        ]);
        check(Naming::Timm, "MobileNetV3Large", &[
            ("inverted_residual_1.depthwise", "blocks.0.0.conv_dw", "blocks.0.0.bn1"),
            ("inverted_residual_1.project",   "blocks.0.0.conv_pw", "blocks.0.0.bn2"),
            ("inverted_residual_4.expand",    "blocks.2.0.conv_pw", "blocks.2.0.bn1"),
            ("inverted_residual_4.project",   "blocks.2.0.conv_pwl", "blocks.2.0.bn3"),
            ("pointwise_16",                  "blocks.6.0.conv",    "blocks.6.0.bn1"),
            ("pointwise_18",                  "conv_head",          "norm_head"),
        ]);
        check(Naming::Timm, "MobileNetV4HybridMedium", &[
            ("fused_inverted_residual_1.expand", "blocks.0.0.conv_exp",              "blocks.0.0.bn1"),
            ("uib_2.middle",                     "blocks.1.0.dw_mid.conv",           "blocks.1.0.dw_mid.bn"),
            ("mqa_8.norm",                       "blocks.2.4.norm",                  "blocks.2.4.norm"),
            ("mqa_8.key_down",                   "blocks.2.4.attn.key.down_conv",    "blocks.2.4.attn.key.norm"),
            ("mqa_30.output",                    "blocks.3.14.attn.output.proj",     "blocks.3.14."),
            ("pointwise_34",                     "conv_head",                        "norm_head"),
        ]);
    }

    #[test]
    fn networks_that_others_do_not_have_are_told_so() {
        let network = zoo::by_name("MobileNetMultiMAX").unwrap().describe(&[]).unwrap().network;
        let unknown = Naming::Timm.names(&network, &network.parameters[0]).err().unwrap();
        assert!(unknown.message.contains("timm"), "{unknown}");
        assert_eq!(of_network("MobileNetV2"), [Naming::Torchvision, Naming::Timm]);
        assert!(of_network("MobileNetMultiMAX").is_empty());
    }
}
