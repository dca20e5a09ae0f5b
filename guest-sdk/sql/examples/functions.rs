//! Prints the page of the documentation about functions: `docs/functions.md`.

fn main() {
    print!("{}", hookhost_sql::functions::page());
}
