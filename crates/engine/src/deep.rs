//! Room for statements that nest: DataFusion's planner calls itself for every level of an expression and every join,
//! with frames so large that as many levels as the parser lets through could overflow a thread's stack.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, stream::BoxStream};

/// With less than this left, bytes, work goes to a stack of its own: as much as the deepest statement takes in a build
/// without optimization.
const ROOM_BYTES: usize = 12 << 20;
/// That stack, bytes: address space, of which only what is used becomes memory.
const STACK_BYTES: usize = 16 << 20;

/// `planning`, with room for any depth that the parser lets through.
pub fn deep<F: Future>(planning: F) -> impl Future<Output = F::Output> {
    Deep(Box::pin(planning))
}

/// `rows` of a plan of any such depth.
pub fn deep_stream<S: Stream + Send + 'static>(rows: S) -> impl Stream<Item = S::Item> + Send {
    DeepStream(rows.boxed())
}

struct Deep<F>(Pin<Box<F>>);

impl<F: Future> Future for Deep<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        stacker::maybe_grow(ROOM_BYTES, STACK_BYTES, || self.0.as_mut().poll(cx))
    }
}

struct DeepStream<T>(BoxStream<'static, T>);

impl<T> Stream for DeepStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        stacker::maybe_grow(ROOM_BYTES, STACK_BYTES, || self.0.poll_next_unpin(cx))
    }
}
