//! The page of the documentation about functions, made from the table.

use super::{ELSEWHERE, LARGE, THEMES};

const INTRODUCTION: &str = "\
# Functions of the rule SQL

The [rule SQL](webhook.md#sql) has the functions of EMQX 5.8.9's rule engine. Tests compare their results with recorded
results of EMQX with Erlang 25. Names are case-sensitive.

A function that does not accept its arguments makes the rule fail for the event: nothing is sent, and the log says which
function refused which arguments. A text is bytes, as in EMQX; functions that count or change characters refuse bytes that
are not UTF-8.
";

const LARGE_FUNCTIONS: &str = "
## Large functions

Some functions need much code. They are in a larger build of the built-in module (3.1 MB instead of 1.0 MB), which hookhost
loads if a rule calls one of them. It takes about three times as long to compile, once, and each instance needs 0.4 MB more
memory. Events take the same time. These are:

";

/// The whole page, in Markdown.
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    for theme in THEMES {
        page += &format!("\n## {}\n\n| function | result |\n| --- | --- |\n", theme.title);
        for function in theme.functions {
            page += &format!(
                "| `{}` | {} |\n",
                function.signature.replace('|', "\\|"),
                function.about
            );
        }
    }
    page += LARGE_FUNCTIONS;
    page += &LARGE.map(|name| format!("`{name}`")).join(", ");
    page.push('\n');
    page +=
        "\n## Not supported\n\nA rule with one of these functions sends nothing; `hookhost check` warns about it.\n\n";
    page += "| function | reason |\n| --- | --- |\n";
    for (name, reason) in ELSEWHERE {
        page += &format!("| `{name}` | {reason} |\n");
    }
    page
}

#[cfg(test)]
mod tests {
    /// After a change of the table: `cargo run -p hookhost-sql --features all-functions --example functions > docs/functions.md`.
    #[cfg(feature = "all-functions")]
    #[test]
    fn the_page_is_up_to_date() {
        assert!(
            super::page() == include_str!("../../../../docs/functions.md"),
            "docs/functions.md is not up to date"
        );
    }
}
