//! DescribeCluster.

use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, describe_cluster_response::DescribeClusterBroker,
};

use super::{Api, Reply};
use crate::{
    broker::BROKER_ID,
    call::{Call, text},
    wire::shape::{Field, Kind::Fixed, all, from},
};

/// See the module.
pub(crate) struct DescribeCluster;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;
    type Response = DescribeClusterResponse;
    const KEY: i16 = 60;
    const VERSIONS: (i16, i16) = (0, 2);
    const FIELDS: &'static [Field] = &[all(Fixed(1)), from(1, Fixed(1)), from(2, Fixed(1))];

    async fn handle(call: &Call, _: DescribeClusterRequest) -> Reply<DescribeClusterResponse> {
        let (host, port) = call.advertised();
        let broker =
            DescribeClusterBroker::default().with_broker_id(BrokerId(BROKER_ID)).with_host(host).with_port(port);
        Reply::from(
            DescribeClusterResponse::default()
                .with_error_message(None)
                .with_cluster_id(text(&call.broker.cluster_id))
                .with_controller_id(BrokerId(BROKER_ID))
                .with_brokers(vec![broker]),
        )
    }
}
