//! The schemas of streams and tables in the registry.

use std::sync::Arc;

use formats::{FormatContext, Part, SchemaRegistry};
use types::Result;

/// Register the schemas of a source's keys and values, where its formats have any. `only_missing`: not under subjects
/// that have one already (a source over a topic that others write).
pub(crate) fn register(registry: &Arc<dyn SchemaRegistry>, source: &catalog::Source, only_missing: bool) -> Result<()> {
    let context = FormatContext { registry: Some(registry.clone()), topic: source.topic.clone(), ..Default::default() };
    let key: Vec<_> = source.schema.key().cloned().collect();
    let value: Vec<_> = source.schema.value().cloned().collect();
    for (part, columns, spec) in [(Part::Key, key, &source.key_format), (Part::Value, value, &source.value_format)] {
        let format = formats::format(&spec.name)?;
        if !format.uses_registry() || columns.is_empty() || spec.schema_id.is_some() {
            continue;
        }
        let subject = context.subject(part);
        if only_missing && registry.latest(&subject)?.is_some() {
            continue;
        }
        if let Some(schema) = format.schema(part, &columns, spec, &context)? {
            registry.register(&subject, &schema)?;
        }
    }
    Ok(())
}

/// Delete the subjects of a topic that is deleted.
pub(crate) fn forget(registry: &Arc<dyn SchemaRegistry>, topic: &str) -> Result<()> {
    let context = FormatContext { registry: Some(registry.clone()), topic: topic.to_owned(), ..Default::default() };
    registry.delete_subject(&context.subject(Part::Key))?;
    registry.delete_subject(&context.subject(Part::Value))
}
