//! The bottlenecks of the family.

use super::wiring::Dilate;
use super::{Builder, Refusal};
use crate::dsl::layers::{
    Conv, Depthwise, FusedInvertedResidual, Groups, InvertedResidual, Residual, Separable, Strided, Uib,
};
use crate::dsl::network::Part;
use crate::dsl::scale::Width;
use crate::error::Fault;
use crate::graph::NodeId;
use crate::ops::activation::Activation;

impl Builder {
    /// V1's block; see [`Separable`].
    pub fn separable(&mut self, block: Separable) -> &mut Self {
        self.block("separable", |builder, x| {
            let placed = builder.place(block.stride, Dilate::Separable);
            let Separable { kernel, activation, width, .. } = block;
            let depthwise = Depthwise { kernel, activation, ..Depthwise::default() };
            let y = builder.depthwise_layer(Part::Depthwise, x, &depthwise, placed)?;
            builder.convolve(Part::Pointwise, y, &Conv { activation, ..Conv::pointwise(width) }, (1, 1))
        })
    }

    /// The bottleneck of V2 and V3; see [`InvertedResidual`].
    pub fn inverted_residual(&mut self, block: InvertedResidual) -> &mut Self {
        self.block("inverted_residual", |builder, x| {
            let placed = builder.place(block.stride, Dilate::Bottleneck);
            let InvertedResidual { kernel, activation, .. } = block;
            let mut y = x;
            if block.expansion != 1.0 {
                y = builder.expand(
                    y,
                    Conv { activation, ..Conv::pointwise(Width::Times(block.expansion)) },
                    1,
                )?;
            }
            let depthwise = Depthwise { kernel, activation, ..Depthwise::default() };
            y = builder.depthwise_layer(Part::Depthwise, y, &depthwise, placed)?;
            if let Some(gate) = &block.squeeze {
                y = builder.gate(y, gate)?;
            }
            builder.project(x, y, block.width, placed.0, block.residual)
        })
    }

    /// The bottleneck that expands by a full convolution; see [`FusedInvertedResidual`].
    pub fn fused_inverted_residual(&mut self, block: FusedInvertedResidual) -> &mut Self {
        self.block("fused_inverted_residual", |builder, x| {
            let (stride, _) = builder.place(block.stride, Dilate::Never);
            let FusedInvertedResidual { kernel, activation, width, .. } = block;
            let mut y = x;
            if block.expansion != 1.0 {
                let expand = Conv { kernel, activation, ..Conv::pointwise(Width::Times(block.expansion)) };
                let groups = builder.count_groups(x, block.groups, &expand)?;
                y = builder.expand(y, Conv { groups, ..expand }, stride)?;
            }
            builder.project(x, y, width, stride, block.residual)
        })
    }

    fn count_groups(&mut self, x: NodeId, groups: Groups, expand: &Conv) -> Result<usize, Refusal> {
        let inputs = self.depth(x)?;
        let expanded = self.settings.scaling.channels(expand.width, inputs).map_err(|fault| ("t", fault))?;
        match groups {
            Groups::Count(count) => Ok(count),
            Groups::OfSize(size) if size > 0 && expanded.is_multiple_of(size) => Ok(expanded / size),
            Groups::OfSize(size) => {
                let fault = format!("{expanded} expanded channels cannot be divided into groups of {size}");
                self.refuse(("gs", Fault::model(fault)));
                Ok(1)
            }
        }
    }

    /// V4's bottleneck; see [`Uib`].
    pub fn uib(&mut self, block: Uib) -> &mut Self {
        self.block("uib", |builder, x| {
            let strided = builder.strided(&block);
            let placed = builder.place(block.stride, Dilate::Bottleneck);
            let at = |which| if strided == Some(which) { placed } else { (1, placed.1) };
            let activation = block.activation;
            let mut y = x;
            if let Some(kernel) = block.start {
                let start = Depthwise { kernel, ..Depthwise::default() };
                y = builder.depthwise_layer(Part::Start, y, &start, at(Strided::Start))?;
            }
            y = builder.expand(
                y,
                Conv { activation, ..Conv::pointwise(Width::Times(block.expansion)) },
                1,
            )?;
            if let Some(kernel) = block.middle {
                let middle = Depthwise { kernel, activation, ..Depthwise::default() };
                y = builder.depthwise_layer(Part::Middle, y, &middle, at(Strided::Middle))?;
            }
            y = builder.convolve(Part::Project, y, &Conv::pointwise(block.width), (1, 1))?;
            if block.layer_scale {
                y = builder.scale_layer(y)?;
            }
            builder.join(x, y, if placed.0 == 1 { block.residual } else { never(block.residual) })
        })
    }

    /// Which depthwise convolution of a UIB strides.
    fn strided(&mut self, block: &Uib) -> Option<Strided> {
        let chosen = block.strided.or(match (block.start, block.middle) {
            (_, Some(_)) => Some(Strided::Middle),
            (Some(_), None) => Some(Strided::Start),
            (None, None) => None,
        });
        let there = match chosen {
            Some(Strided::Start) => block.start.is_some(),
            Some(Strided::Middle) => block.middle.is_some(),
            None => false,
        };
        if block.stride > 1 && !there {
            let fault = Fault::model("there is no depthwise convolution that could stride");
            self.refuse(("s", fault.help("give it a start or a middle kernel")));
        }
        chosen.filter(|_| there)
    }

    /// The expansion of a bottleneck.
    fn expand(&mut self, x: NodeId, conv: Conv, stride: usize) -> Result<NodeId, Refusal> {
        let expanded = self.convolve(Part::Expand, x, &conv, (stride, 1));
        expanded.map_err(|(argument, fault)| (if argument == "c" { "t" } else { argument }, fault))
    }

    /// The projection of a bottleneck, and its input added.
    fn project(
        &mut self,
        input: NodeId,
        x: NodeId,
        width: Width,
        stride: usize,
        residual: Residual,
    ) -> Result<NodeId, Refusal> {
        let linear = Conv { activation: Activation::Identity, ..Conv::pointwise(width) };
        let y = self.convolve(Part::Project, x, &linear, (1, 1))?;
        self.join(input, y, if stride == 1 { residual } else { never(residual) })
    }
}

/// A block that strides adds its input only where that was asked for, which is then refused.
fn never(residual: Residual) -> Residual {
    match residual {
        Residual::IfFits | Residual::Never => Residual::Never,
        Residual::Always => Residual::Always,
    }
}
