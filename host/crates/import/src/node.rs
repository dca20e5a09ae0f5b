//! The name of the node, which bodies of EMQX name.
//!
//! EMQX takes it from `EMQX_NODE__NAME`, `EMQX_NODE_NAME`, the parts `EMQX_NAME` and `EMQX_HOST`, which its container image
//! joins with `@`, and `node.name` of its file, in this order.

use hookhost_settings::{Place, Table, find};

use super::Environment;
use super::env_file::Variable;

/// The variables.
pub(super) const VARIABLES: [&str; 4] = ["EMQX_NODE__NAME", "EMQX_NODE_NAME", "EMQX_NAME", "EMQX_HOST"];

/// The parts of a name that are not given, as in EMQX's container image without a network.
const NAME: &str = "emqx";
const HOST: &str = "127.0.0.1";

/// The variables of the environment that are about the name.
pub(super) fn of_environment(environment: &Environment) -> impl Iterator<Item = Variable> {
    VARIABLES.into_iter().filter_map(|name| {
        Some(Variable {
            name: name.to_owned(),
            value: environment.get(name)?.clone(),
            place: Place::variable(name),
        })
    })
}

/// The name that variables give. Of variables with one name the last one counts.
pub(super) fn of_variables(variables: &[Variable]) -> Option<(Place, String)> {
    let value = |name: &str| {
        let variable = variables.iter().rev().find(|variable| variable.name == name)?;
        let value = variable.value.trim();
        (!value.is_empty()).then(|| (variable.place.clone(), value.to_owned()))
    };
    let whole = value("EMQX_NODE__NAME").or_else(|| value("EMQX_NODE_NAME"));
    whole.or_else(|| {
        let (name, host) = (value("EMQX_NAME"), value("EMQX_HOST"));
        let place = name.as_ref().or(host.as_ref()).map(|(place, _)| place.clone())?;
        let part = |part: Option<(Place, String)>, default: &str| part.map_or(default.to_owned(), |(_, value)| value);
        Some((place, format!("{}@{}", part(name, NAME), part(host, HOST))))
    })
}

/// Takes the part `node` of a file, whose other settings are about EMQX's cluster. Returns its `name`.
pub(super) fn of_file(parts: &mut Table) -> Option<(Place, String)> {
    let setting = find(parts, &["node", "name"])?.clone();
    parts.remove("node");
    let name = setting.value.written().filter(|name| !name.trim().is_empty())?;
    Some((setting.place, name.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_first_variable_that_is_given() {
        for (variables, expected) in [
            (&[][..], None),
            (&[("EMQX_NAME", "")], None),
            (&[("EMQX_NAME", "a")], Some("a@127.0.0.1")),
            (&[("EMQX_HOST", "h")], Some("emqx@h")),
            (
                &[("EMQX_NAME", "a"), ("EMQX_HOST", "h"), ("EMQX_NAME", "b")],
                Some("b@h"),
            ),
            (&[("EMQX_NAME", "a"), ("EMQX_NODE_NAME", "c@d")], Some("c@d")),
            (&[("EMQX_NODE__NAME", " e@f "), ("EMQX_NODE_NAME", "c@d")], Some("e@f")),
        ] {
            let variables: Vec<Variable> = variables
                .iter()
                .map(|(name, value)| Variable {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                    place: Place::variable(*name),
                })
                .collect();
            let found = of_variables(&variables).map(|(_, name)| name);
            assert_eq!(found.as_deref(), expected, "{variables:?}");
        }
    }
}
