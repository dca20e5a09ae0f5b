//! What a rule selects, as fields of templates.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::Value;
use crate::fields::Fields;

/// What a rule selects, as fields of templates.
pub(crate) struct Selection<'a>(pub(crate) &'a Value<'a>);

impl Fields for Selection<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, Json>> {
        let Value::Object(object) = self.0 else { return None };
        let (_, value) = object.iter().find(|(known, _)| known == name)?;
        Some(Cow::Owned(Json::from(value)))
    }

    fn all(&self) -> Map<String, Json> {
        match Json::from(self.0) {
            Json::Object(object) => object,
            _ => Map::new(),
        }
    }
}
