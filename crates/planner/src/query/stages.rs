//! A continuous query as DataFusion physical plans, one a stage: what EXPLAIN shows.
//!
//! A stage is what runs without rows changing partitions. Filters and projections are DataFusion's own nodes with the
//! very expressions that run; what keeps state, and where rows come from and go to, are nodes that can only be shown:
//! a query that never ends is not run by DataFusion (it would hold rows back until its batches are full).

use std::{fmt, sync::Arc};

use arrow::datatypes::SchemaRef;
use datafusion::{
    common::{
        Result as DfResult, internal_err,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    execution::TaskContext,
    physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, expressions::Column},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream, displayable,
        execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions},
        filter::FilterExec,
        projection::ProjectionExec,
    },
};

use super::explain::{goal_text, node_text};
use crate::plan::{BoundExpr, Plan, PlanNode, QueryPlan};

/// What runs between two exchanges.
pub struct Stage {
    /// Its plan.
    pub plan: Arc<dyn ExecutionPlan>,
    /// Topics that it reads.
    pub topics: Vec<String>,
}

impl Stage {
    /// The plan as DataFusion prints it.
    pub fn text(&self) -> String {
        displayable(self.plan.as_ref()).indent(false).to_string()
    }
}

/// The stages of `plan`: those that feed an exchange, from left to right and from the sources up, then the last one.
pub fn stages(plan: &QueryPlan) -> Vec<Stage> {
    let mut cutter = Cutter::default();
    let root = cutter.node(&plan.root);
    let top = shown(goal_text(plan), root.schema(), vec![root]);
    cutter.close(top);
    cutter.stages
}

#[derive(Default)]
struct Cutter {
    stages: Vec<Stage>,
    /// Of the stage that is being built.
    topics: Vec<String>,
}

impl Cutter {
    fn close(&mut self, plan: Arc<dyn ExecutionPlan>) {
        let topics = std::mem::take(&mut self.topics);
        self.stages.push(Stage { plan, topics });
    }

    fn node(&mut self, plan: &Plan) -> Arc<dyn ExecutionPlan> {
        let schema = plan.fields.to_arrow();
        if let PlanNode::Exchange { input, .. } = &plan.node {
            // What was read so far is another branch of the stage above.
            let others = std::mem::take(&mut self.topics);
            let below = self.node(input);
            let writer = shown(node_text(plan), below.schema(), vec![below]);
            self.close(writer);
            self.topics = others;
            return shown(format!("FromStage {}", self.stages.len()), schema, vec![]);
        }
        let below: Vec<Arc<dyn ExecutionPlan>> = plan.inputs().into_iter().map(|i| self.node(i)).collect();
        if let PlanNode::Source { source, .. } = &plan.node {
            self.topics.push(source.topic.clone());
        }
        match datafusions_own(plan, &below) {
            Some(Ok(node)) => node,
            _ => shown(node_text(plan), schema, below),
        }
    }
}

/// Nodes that DataFusion has.
fn datafusions_own(plan: &Plan, below: &[Arc<dyn ExecutionPlan>]) -> Option<DfResult<Arc<dyn ExecutionPlan>>> {
    let [input] = below else { return None };
    let schema = input.schema();
    match &plan.node {
        PlanNode::Filter { predicate, .. } => {
            let filter = FilterExec::try_new(named(predicate, &schema), Arc::clone(input));
            Some(filter.map(|f| Arc::new(f) as Arc<dyn ExecutionPlan>))
        }
        PlanNode::Project { exprs, .. } => {
            let names = plan.fields.columns.iter().map(|c| c.name.clone());
            let exprs: Vec<_> = exprs.iter().map(|e| named(e, &schema)).zip(names).collect();
            let project = ProjectionExec::try_new(exprs, Arc::clone(input));
            Some(project.map(|p| Arc::new(p) as Arc<dyn ExecutionPlan>))
        }
        _ => None,
    }
}

/// `expr` with its columns under the names that `schema` has for them, which DataFusion insists on.
fn named(expr: &BoundExpr, schema: &SchemaRef) -> BoundExpr {
    let renamed = Arc::clone(expr).transform_up(|node| {
        let known = node.downcast_ref::<Column>().and_then(|c| Some((c, schema.fields().get(c.index())?)));
        Ok(match known {
            Some((column, field)) if column.name() != field.name() => {
                let column: BoundExpr = Arc::new(Column::new(field.name(), column.index()));
                Transformed::yes(column)
            }
            _ => Transformed::no(node),
        })
    });
    renamed.map_or_else(|_| Arc::clone(expr), |t| t.data)
}

fn shown(text: String, schema: SchemaRef, children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
    let boundedness = Boundedness::Unbounded { requires_infinite_memory: false };
    let properties = PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Incremental,
        boundedness,
    );
    Arc::new(Shown { text, children, properties: Arc::new(properties) })
}

/// A node that is ours: it can be shown, and is run by the runtime.
#[derive(Debug)]
struct Shown {
    text: String,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for Shown {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ExecutionPlan for Shown {
    fn name(&self) -> &str {
        "Shown"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.children.iter().collect()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Shown { text: self.text.clone(), children, properties: Arc::clone(&self.properties) }))
    }

    // Deprecated, and still asked for by the trait.
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Shown { text: self.text.clone(), children, properties: Arc::clone(&self.properties) }))
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        internal_err!("a continuous query is run by the runtime: {}", self.text)
    }
}
