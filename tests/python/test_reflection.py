"""gRPC's reflection: a client that knows no `.proto` file learns from the server what there is to call, and calls it."""

import base64

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from harness import PASSWORD, PATIENCE, USER, users
from test_neighbours import varint

FLIGHT = "arrow.flight.protocol.FlightService"


class WithHeader(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sends the password with every call."""

    def intercept(self, go_on, details, request):
        password = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        metadata = [*(details.metadata or []), ("authorization", f"Basic {password}")]
        return go_on(details._replace(metadata=metadata, timeout=PATIENCE), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = intercept


class Service:
    """The methods of a service, made of what its server says of it."""

    def __init__(self, channel, name):
        self.channel, self.name = channel, name
        self.described = DescriptorPool(ProtoReflectionDescriptorDatabase(channel)).FindServiceByName(name)

    def call(self, method, **fields):
        """The answers of a method to one message."""
        described = self.described.methods_by_name[method]
        takes, gives = GetMessageClass(described.input_type), GetMessageClass(described.output_type)
        streams = ("unary", "stream")[described.client_streaming], ("unary", "stream")[described.server_streaming]
        make = getattr(self.channel, "_".join(streams))
        stub = make(f"/{self.name}/{method}", takes.SerializeToString, gives.FromString)
        message = takes(**fields)
        answer = stub(iter([message]) if described.client_streaming else message)
        return list(answer) if described.server_streaming else [answer]


def command(sql):
    query = b"\x0a" + varint(len(sql)) + sql.encode()
    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return b"\x0a" + varint(len(name)) + name + b"\x12" + varint(len(query)) + query


@pytest.fixture
def address(project):
    project.write({"cordada.yml": f"name: acme\nlake: ./lake\n{users()}"})
    with project.serve() as url:
        yield url.removeprefix("grpc://")


def test_a_client_without_files_calls_what_the_server_describes(address):
    with grpc.insecure_channel(address) as plain:
        channel = grpc.intercept_channel(plain, WithHeader())
        assert FLIGHT in ProtoReflectionDescriptorDatabase(channel).get_services()
        flight = Service(channel, FLIGHT)
        [info] = flight.call("GetFlightInfo", type="CMD", cmd=command("select 7 as seven"))
        assert info.flight_descriptor.cmd == command("select 7 as seven") and info.ordered
        [endpoint] = info.endpoint
        assert endpoint.expiration_time.seconds > 0
        data = flight.call("DoGet", ticket=endpoint.ticket.ticket)
        assert (7).to_bytes(8, "little") in b"".join(message.data_body for message in data)
        [poll] = flight.call("PollFlightInfo", type="CMD", cmd=command("select 7 as seven"))
        assert poll.progress == 1.0 and poll.info.schema == info.schema
        assert "CloseSession" in {action.type for action in flight.call("ListActions")}
        [health] = Service(channel, "grpc.health.v1.Health").call("Check", service=FLIGHT)
        assert health.status == 1
        # Every method that is described is one of the server's: none of them is unknown to it.
        for method in flight.described.methods_by_name:
            try:
                flight.call(method)
            except grpc.RpcError as error:
                assert error.code() != grpc.StatusCode.UNIMPLEMENTED or error.details(), method


def test_who_has_not_logged_in_learns_nothing(address):
    with grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            ProtoReflectionDescriptorDatabase(channel).get_services()
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
