//! INSERT INTO … SELECT: another query that writes a stream.

use std::{cell::RefCell, sync::Arc};

use catalog::{Catalog, PersistentQuery, Source, SourceKind};
use functions::implicitly_castable;
use syntax::ast::{Ident, Properties, Query};
use types::{Column, Error, Namespace, Result, Schema, SqlType};

use super::{
    Env, Mode,
    create::{new_query_id, stored},
    input::column,
    select::{self, Selected},
    sink,
};
use crate::{
    ddl,
    expr::{self, Bound},
    plan::{BoundExpr, Plan, PlanNode, Planned, QueryPlan, SinkSpec, Surroundings},
    properties::{OF_QUERIES, Topic, With},
};

/// Plan INSERT INTO `target` `query`; `statement` is its text, which the catalog keeps.
///
/// # Errors
/// What is wrong with the target or the query, with its place in the statement.
pub fn plan_insert_select(
    target: &Ident,
    properties: &Properties,
    query: &Query,
    statement: &str,
    catalog: &Catalog,
    world: &dyn Surroundings,
) -> Result<Planned> {
    let reads = RefCell::default();
    let env = Env::new(catalog, world, &reads);
    let source = find_target(catalog, target)?;
    let with = With::new(properties, &[OF_QUERIES])?;
    if query.limit.is_some() {
        return Err(Error::unsupported("INSERT INTO statements don't support LIMIT clause").at(query.span));
    }
    let mode = Mode::Persistent { name: source.name.clone(), kind: SourceKind::Stream };
    let selected = select::plan_query(&env, query, &mode)?;
    if selected.plan.kind == SourceKind::Table {
        let error = Error::invalid("the SELECT produces a table, whose rows change; a stream's do not");
        return Err(error.at(query.span).with_hint("use CREATE TABLE … AS SELECT"));
    }
    let selected = fitted(selected, source, query)?;
    let id = new_query_id(catalog, "INSERTQUERY", None, &with)?;
    let plan = stored(&env, selected, source.as_ref().clone(), Topic::default());
    // The topic is there: no partitions to ask for.
    let sink = plan.sink.map(|s| SinkSpec { partitions: None, replicas: None, ..s });
    let reads = reads.into_inner();
    let query = PersistentQuery {
        id,
        statement: statement.to_owned(),
        reads: reads.clone(),
        writes: source.name.clone(),
        paused: false,
    };
    Ok(Planned::InsertSelect { query, plan: QueryPlan { reads, sink, ..plan } })
}

fn find_target<'a>(catalog: &'a Catalog, target: &Ident) -> Result<&'a Arc<Source>> {
    let Some(source) = catalog.source(&target.value) else {
        return Err(ddl::unknown(format!("Source `{}` does not exist", target.value), target, catalog));
    };
    let name = &source.name;
    if source.kind == SourceKind::Table {
        let message = format!("INSERT INTO can only be used to insert into a stream. {name} is a table");
        return Err(Error::invalid(message).at(target.span));
    }
    if source.read_only {
        return Err(Error::invalid(format!("Cannot insert into read-only stream: {name}")).at(target.span));
    }
    if source.schema.columns.iter().any(|c| matches!(c.namespace, Namespace::Headers(_))) {
        return Err(Error::invalid(format!("Cannot insert into {name} because it has header columns")).at(target.span));
    }
    Ok(source)
}

/// `selected` with its columns as the types of the target's, if the names agree.
fn fitted(mut selected: Selected, target: &Source, query: &Query) -> Result<Selected> {
    let result = sink::schema(&selected)?;
    if selected.plan.windowed.is_some() != target.windowed.is_some() {
        let (is, other) = if target.windowed.is_some() { ("is", "is not") } else { ("is not", "is") };
        let message = format!("{} {is} windowed, and the result {other}", target.name);
        return Err(Error::invalid(message).at(query.span));
    }
    let (keys, values) = (pairs(&result, &target.schema, true), pairs(&result, &target.schema, false));
    let (Some(keys), Some(values)) = (keys, values) else { return Err(incompatible(&result, target, query)) };
    let value_places: Vec<usize> = (0..selected.visible).filter(|at| !selected.key.contains(at)).collect();
    let fields = selected.plan.fields.clone();
    let mut exprs: Vec<BoundExpr> = (0..fields.columns.len()).map(|at| column(&fields, at)).collect();
    let mut changed = false;
    let places = selected.key.iter().zip(keys).chain(value_places.iter().zip(values));
    for (at, (from, to)) in places {
        if from.ty == to.ty {
            continue;
        }
        let bound = Bound { expr: column(&fields, *at), ty: Some(from.ty.clone()) };
        let cast = expr::cast(bound, &to.ty, false).map_err(|_| incompatible(&result, target, query))?;
        if let (Some(expr), Some(field)) = (exprs.get_mut(*at), selected.plan.fields.columns.get_mut(*at)) {
            *expr = cast;
            field.ty = to.ty.clone();
            changed = true;
        }
    }
    if changed {
        let (new_fields, kind, windowed) = (selected.plan.fields.clone(), selected.plan.kind, selected.plan.windowed);
        let below = Plan { fields, ..selected.plan };
        let node = PlanNode::Project { input: Box::new(below), exprs };
        selected.plan = Plan { node, fields: new_fields, kind, windowed };
    }
    Ok(selected)
}

/// Columns of the result with those of the target, if they agree in number, order, name and (after conversion) type.
fn pairs<'a>(result: &'a Schema, target: &'a Schema, key: bool) -> Option<Vec<(&'a Column, &'a Column)>> {
    let side = |schema: &'a Schema| {
        let columns = schema.columns.iter().filter(move |c| (c.namespace == Namespace::Key) == key);
        columns.collect::<Vec<_>>()
    };
    let (result, target) = (side(result), side(target));
    let fits = |(from, to): &(&&Column, &&Column)| from.name == to.name && converts(&from.ty, &to.ty);
    if result.len() != target.len() || !result.iter().zip(&target).all(|pair| fits(&pair)) {
        return None;
    }
    Some(result.into_iter().zip(target).collect())
}

/// Whether values of a result become those of the target without a CAST: as in expressions, and numbers into any
/// DECIMAL, where one that does not fit is NULL and reported.
fn converts(from: &SqlType, to: &SqlType) -> bool {
    let into_decimal = matches!(from, SqlType::Int | SqlType::BigInt) && matches!(to, SqlType::Decimal { .. });
    from == to || into_decimal || implicitly_castable(from, to)
}

fn incompatible(result: &Schema, target: &Source, query: &Query) -> Error {
    let message = "Incompatible schema between results and sink".to_owned();
    let detail = format!("Result schema is {result}. Sink schema is {}", target.schema);
    Error::type_mismatch(message).at(query.span).with_detail(detail).with_hint("names, order and types must agree")
}
