//! Tokens to text: `prettyplease` item by item, with the `//` comments that it would drop.

use proc_macro2::TokenStream;
use quote::quote;

/// A statement that becomes a `//` comment when formatted.
pub fn note(text: &str) -> TokenStream {
    quote! { __note!(#text); }
}

/// `//` comment lines. Names in them come from files: nothing may end a line.
pub fn comment(lines: &[String]) -> String {
    lines.iter().map(|line| format!("// {}\n", clean(line))).collect()
}

/// The text without control characters.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Items as formatted text.
///
/// Tokens that do not parse are returned as they are; rustc then says what is wrong with them, and the
/// tests compile what is emitted.
pub fn item(tokens: &TokenStream) -> String {
    match syn::parse2::<syn::File>(tokens.clone()) {
        Ok(file) => notes(&prettyplease::unparse(&file)),
        Err(_) => tokens.to_string(),
    }
}

/// Turns the statements of [`note`] into comments, and puts a blank line in front of documented items. A
/// long note stands on three lines: the literal by itself between the parentheses.
fn notes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(rest) = line.trim_start().strip_prefix("__note!(") else {
            out.push_str(line);
            out.push('\n');
            let closes = line.trim() == "}" || line.ends_with(';');
            if closes && lines.peek().is_some_and(|next| next.trim_start().starts_with("///")) {
                out.push('\n');
            }
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        let literal = match rest.trim_end_matches(';').trim_end_matches(')') {
            "" => lines.next().zip(lines.next()).map_or("", |(literal, _)| literal.trim()),
            literal => literal,
        };
        let text = syn::parse_str::<syn::LitStr>(literal).map(|s| s.value()).unwrap_or_default();
        out.push_str(&format!("{indent}// {text}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_become_comments_with_quotes_and_parentheses() {
        let note = note("conv (\"a\") 3×3");
        let text = item(&quote! { fn f() { #note g(); } });
        assert_eq!(text, "fn f() {\n    // conv (\"a\") 3×3\n    g();\n}\n");
    }

    #[test]
    fn no_name_ends_a_comment() {
        assert_eq!(comment(&["Model: a\nfn f() {}".to_owned()]), "// Model: a fn f() {}\n");
    }

    #[test]
    fn long_notes_become_comments() {
        let long = "a ".repeat(60) + "b";
        let note = note(&long);
        let text = item(&quote! { fn f() { #note g(); } });
        assert_eq!(text, format!("fn f() {{\n    // {long}\n    g();\n}}\n"));
    }
}
