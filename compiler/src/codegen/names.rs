//! Identifiers made from a model's names, which may hold anything.

use proc_macro2::Ident;
use quote::format_ident;

/// `features.0/Conv_1` → `features_0_conv_1`; what has no letter in front gets `prefix`.
pub fn snake(name: &str, prefix: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            text.push(character.to_ascii_lowercase());
        } else if !text.ends_with('_') && !text.is_empty() {
            text.push('_');
        }
    }
    let text = text.trim_end_matches('_');
    let text: String = text.chars().take(60).collect();
    if text.chars().next().is_some_and(|c| c.is_ascii_alphabetic()) && syn::parse_str::<Ident>(&text).is_ok()
    {
        text
    } else if text.is_empty() {
        prefix.to_owned()
    } else {
        format!("{prefix}_{text}")
    }
}

/// A path without the steps that the next one repeats: `/features/features.0/features.0.0/Conv` →
/// `features.0.0/Conv`.
pub fn leaf(name: &str) -> String {
    let steps: Vec<&str> = name.split('/').filter(|step| !step.is_empty()).collect();
    let kept = steps.iter().enumerate().filter(|(i, step)| {
        let repeated = steps
            .get(i + 1)
            .is_some_and(|next| next.strip_prefix(**step).is_some_and(|rest| rest.starts_with('.')));
        !repeated
    });
    kept.map(|(_, step)| *step).collect::<Vec<_>>().join("/")
}

/// Distinct identifiers for names, in their order: equal ones get a number.
pub fn distinct<'a>(names: impl IntoIterator<Item = &'a str>, prefix: &str) -> Vec<Ident> {
    let mut taken: Vec<String> = Vec::new();
    for name in names {
        let base = snake(name, prefix);
        let free = std::iter::once(base.clone())
            .chain((2..).map(|n| format!("{base}_{n}")))
            .find(|candidate| !taken.contains(candidate))
            .unwrap_or(base);
        taken.push(free);
    }
    taken.iter().map(|name| format_ident!("{name}")).collect()
}

/// `boxes` → `BOXES`
pub fn shouting(ident: &Ident) -> Ident {
    format_ident!("{}", ident.to_string().to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_an_identifier() {
        for (name, want) in [
            ("/features/features.0/Conv", "features_features_0_conv"),
            ("input:0", "input_0"),
            ("7", "x_7"),
            ("", "x"),
            ("type", "x_type"),
            ("Ünïcode", "n_code"),
        ] {
            assert_eq!(snake(name, "x"), want);
        }
    }

    #[test]
    fn a_path_is_shortened_to_what_it_says() {
        assert_eq!(leaf("/features/features.0/features.0.0/Conv"), "features.0.0/Conv");
        assert_eq!(leaf("/classifier/classifier.1/Gemm"), "classifier.1/Gemm");
        assert_eq!(leaf("node_Conv_810"), "node_Conv_810");
    }

    #[test]
    fn equal_names_are_told_apart() {
        let names: Vec<String> = distinct(["a", "A", "a "], "x").iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a", "a_2", "a_3"]);
    }
}
