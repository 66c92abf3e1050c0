//! Where a node comes from: its name, and the path of the PyTorch module that it was exported from.

use super::proto::NodeProto;

/// Characters of the longest name that is shown.
const LONGEST: usize = 256;

/// A name of the model as it may stand in messages and in comments of emitted code: without control
/// characters, line separators and characters that change the direction of text, and not without end.
pub fn shown(name: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    name.chars().take(LONGEST).map(|c| if hidden(c) { '_' } else { c }).collect()
}

/// The node's name, or its first output's where it has none.
pub fn name(node: &NodeProto) -> String {
    let unnamed = || node.output.iter().find(|output| !output.is_empty());
    shown(if node.name.is_empty() { unnamed().map_or("", String::as_str) } else { &node.name })
}

/// The module path: `features.3.conv`.
///
/// PyTorch's exporter of the `dynamo` kind writes it as metadata; its TorchScript exporter makes it part
/// of the node's name. The metadata `pkg.torch.onnx.stack_trace` holds paths of the exporting machine
/// and is not read.
pub fn module(node: &NodeProto) -> Option<String> {
    let metadata = |key| node.metadata_props.iter().find(|entry| entry.key == key).map(|e| &*e.value);
    let from = |scopes: Vec<&str>| innermost(&scopes).map(shown);
    metadata("pkg.torch.onnx.name_scopes")
        .map(quoted)
        .and_then(from)
        .or_else(|| metadata("namespace").map(namespace).and_then(from))
        .or_else(|| torchscript(&node.name).map(|path| shown(&path)))
}

/// The last module of a list of scopes, of which each is the full path of a module but the last, which
/// names the operation in it.
fn innermost<'a>(scopes: &[&'a str]) -> Option<&'a str> {
    let (_operation, modules) = scopes.split_last()?;
    modules.iter().rev().find(|scope| !scope.is_empty()).copied()
}

/// `['', 'features', 'features.0', 'conv2d']` → the quoted texts.
fn quoted(list: &str) -> Vec<&str> {
    list.split(['\'', '"']).skip(1).step_by(2).collect()
}

/// `: torchvision.MobileNetV2/features: torch.nn.Sequential/conv2d: aten.conv2d.default` → the texts
/// before the colons.
fn namespace(text: &str) -> Vec<&str> {
    text.split('/').map(|scope| scope.split(':').next().unwrap_or_default().trim()).collect()
}

/// `/features/features.1/conv/conv.0/Conv` → `features.1.conv.0`: a scope goes on from the one before it
/// where that is its start, as in a `Sequential`, and is a part of it elsewhere.
fn torchscript(name: &str) -> Option<String> {
    let (scopes, _operation) = name.strip_prefix('/')?.rsplit_once('/')?;
    let mut path: Vec<&str> = Vec::new();
    for scope in scopes.split('/') {
        match path.last_mut() {
            Some(last) if is_below(scope, last) => *last = scope,
            _ => path.push(scope),
        }
    }
    Some(path.join("."))
}

fn is_below(scope: &str, parent: &str) -> bool {
    scope.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::super::proto::StringStringEntryProto;
    use super::*;

    fn check(node: NodeProto, module_path: Option<&str>) {
        assert_eq!(module(&node).as_deref(), module_path, "{}", node.name);
    }

    fn named(name: &str) -> NodeProto {
        NodeProto { name: name.into(), ..Default::default() }
    }

    fn with(key: &str, value: &str) -> NodeProto {
        let entry = StringStringEntryProto { key: key.into(), value: value.into() };
        NodeProto { name: "node_Conv_1".into(), metadata_props: vec![entry], ..Default::default() }
    }

    #[test]
    fn torchscript_names_hold_the_path() {
        check(named("/features/features.0/features.0.0/Conv"), Some("features.0.0"));
        check(named("/features/features.1/conv/conv.0/conv.0.0/Conv"), Some("features.1.conv.0.0"));
        check(named("/blocks/blocks.1/blocks.1.0/bn1/act/Relu"), Some("blocks.1.0.bn1.act"));
        check(named("/Flatten"), None);
        check(named("StatefulPartitionedCall/conv1/Conv2D"), None);
    }

    #[test]
    fn scopes_end_with_the_operation() {
        let key = "pkg.torch.onnx.name_scopes";
        check(with(key, "['', 'features', 'features.0', 'features.0.0', 'conv2d']"), Some("features.0.0"));
        check(with(key, "['', 'conv2d']"), None);
        check(with(key, "no list"), None);
        check(with(key, ""), None);
    }

    #[test]
    fn namespace_is_the_fallback() {
        let text =
            ": tv.MobileNetV2/features: nn.Sequential/features.0: nn.Conv2d/conv2d: aten.conv2d.default";
        check(with("namespace", text), Some("features.0"));
    }

    #[test]
    fn what_is_shown_stays_on_its_line() {
        assert_eq!(shown("a\nb\u{202e}c\r\u{2028}d/é"), "a_b_c__d/é");
        let node = NodeProto { output: vec![String::new(), "y\0".into()], ..Default::default() };
        assert_eq!(name(&node), "y_");
    }
}
