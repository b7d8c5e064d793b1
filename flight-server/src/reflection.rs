//! gRPC's server reflection, which tools such as grpcurl ask what can be called here.
//!
//! arrow-flight carries no descriptors of `Flight.proto`: what its service takes and gives is described here. The commands
//! of Flight SQL and the bodies of actions are bytes to the service, and so they are to whoever asks.

use std::sync::Arc;

use cordada_core::{Error, Result};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto,
};
use tonic::service::Routes;
use tonic_reflection::server::Builder;

use crate::authenticator::Authenticator;
use crate::gate::Gate;

/// A message: its name, and its fields.
type Message = (&'static str, &'static [Field]);
/// A field: its name, its number, and what it holds.
type Field = (&'static str, i32, Holds);

/// A method: its name, what it takes, and what it gives.
type Method = (&'static str, Side, Side);
/// A message by its name, and whether many of them come.
type Side = (&'static str, bool);

#[derive(Debug, Clone, Copy)]
enum Holds {
    One(Type),
    Many(Type),
    /// One that may be missing.
    Optional(Type),
    Message(&'static str),
    Messages(&'static str),
    Enumeration(&'static str),
}

use Holds::{Enumeration, Many, Messages, One, Optional};

const PACKAGE: &str = "arrow.flight.protocol";
const TIMESTAMP: &str = ".google.protobuf.Timestamp";
const TIMESTAMP_FILE: &str = "google/protobuf/timestamp.proto";

const MESSAGES: [Message; 16] = [
    (
        "HandshakeRequest",
        &[
            ("protocol_version", 1, One(Type::Uint64)),
            ("payload", 2, One(Type::Bytes)),
        ],
    ),
    (
        "HandshakeResponse",
        &[
            ("protocol_version", 1, One(Type::Uint64)),
            ("payload", 2, One(Type::Bytes)),
        ],
    ),
    ("Empty", &[]),
    (
        "ActionType",
        &[("type", 1, One(Type::String)), ("description", 2, One(Type::String))],
    ),
    ("Criteria", &[("expression", 1, One(Type::Bytes))]),
    (
        "Action",
        &[("type", 1, One(Type::String)), ("body", 2, One(Type::Bytes))],
    ),
    ("Result", &[("body", 1, One(Type::Bytes))]),
    ("SchemaResult", &[("schema", 1, One(Type::Bytes))]),
    (
        "FlightDescriptor",
        &[
            ("type", 1, Enumeration("FlightDescriptor.DescriptorType")),
            ("cmd", 2, One(Type::Bytes)),
            ("path", 3, Many(Type::String)),
        ],
    ),
    (
        "FlightInfo",
        &[
            ("schema", 1, One(Type::Bytes)),
            ("flight_descriptor", 2, Holds::Message("FlightDescriptor")),
            ("endpoint", 3, Messages("FlightEndpoint")),
            ("total_records", 4, One(Type::Int64)),
            ("total_bytes", 5, One(Type::Int64)),
            ("ordered", 6, One(Type::Bool)),
            ("app_metadata", 7, One(Type::Bytes)),
        ],
    ),
    (
        "PollInfo",
        &[
            ("info", 1, Holds::Message("FlightInfo")),
            ("flight_descriptor", 2, Holds::Message("FlightDescriptor")),
            ("progress", 3, Optional(Type::Double)),
            ("expiration_time", 4, Holds::Message(TIMESTAMP)),
        ],
    ),
    (
        "FlightEndpoint",
        &[
            ("ticket", 1, Holds::Message("Ticket")),
            ("location", 2, Messages("Location")),
            ("expiration_time", 3, Holds::Message(TIMESTAMP)),
            ("app_metadata", 4, One(Type::Bytes)),
        ],
    ),
    ("Location", &[("uri", 1, One(Type::String))]),
    ("Ticket", &[("ticket", 1, One(Type::Bytes))]),
    (
        "FlightData",
        &[
            ("flight_descriptor", 1, Holds::Message("FlightDescriptor")),
            ("data_header", 2, One(Type::Bytes)),
            ("app_metadata", 3, One(Type::Bytes)),
            ("data_body", 1000, One(Type::Bytes)),
        ],
    ),
    ("PutResult", &[("app_metadata", 1, One(Type::Bytes))]),
];

/// `FlightDescriptor.DescriptorType`.
const DESCRIPTOR_TYPES: [&str; 3] = ["UNKNOWN", "PATH", "CMD"];

/// The service's methods: what each takes and gives, and whether that is a stream.
const METHODS: [Method; 10] = [
    ("Handshake", ("HandshakeRequest", true), ("HandshakeResponse", true)),
    ("ListFlights", ("Criteria", false), ("FlightInfo", true)),
    ("GetFlightInfo", ("FlightDescriptor", false), ("FlightInfo", false)),
    ("PollFlightInfo", ("FlightDescriptor", false), ("PollInfo", false)),
    ("GetSchema", ("FlightDescriptor", false), ("SchemaResult", false)),
    ("DoGet", ("Ticket", false), ("FlightData", true)),
    ("DoPut", ("FlightData", true), ("PutResult", true)),
    ("DoExchange", ("FlightData", true), ("FlightData", true)),
    ("DoAction", ("Action", false), ("Result", true)),
    ("ListActions", ("Empty", false), ("ActionType", true)),
];

/// Reflection in its version 1, and as it was called before, which tools still ask; for those who are known.
pub(crate) fn routes(authenticator: &Arc<Authenticator>) -> Result<Routes> {
    let v1 = described().build_v1().map_err(undescribed)?;
    let v1alpha = described().build_v1alpha().map_err(undescribed)?;
    Ok(Routes::new(Gate::new(v1, authenticator.clone())).add_service(Gate::new(v1alpha, authenticator.clone())))
}

/// What is served beside reflection itself.
fn described() -> Builder<'static> {
    Builder::configure()
        .register_file_descriptor_set(FileDescriptorSet {
            file: vec![timestamp(), flight()],
        })
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

fn undescribed(error: tonic_reflection::server::Error) -> Error {
    Error::failed("describing the gRPC services", error)
}

fn flight() -> FileDescriptorProto {
    let value = |(name, number): (&&str, i32)| EnumValueDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(number),
        options: None,
    };
    let descriptor_type = EnumDescriptorProto {
        name: Some("DescriptorType".to_owned()),
        value: DESCRIPTOR_TYPES.iter().zip(0..).map(value).collect(),
        ..Default::default()
    };
    let mut messages: Vec<_> = MESSAGES.iter().map(message).collect();
    let descriptor = messages.iter_mut().find(|message| message.name() == "FlightDescriptor");
    if let Some(descriptor) = descriptor {
        descriptor.enum_type.push(descriptor_type);
    }
    let method = |(name, takes, gives): &(&str, (&str, bool), (&str, bool))| MethodDescriptorProto {
        name: Some((*name).to_owned()),
        input_type: Some(full_name(takes.0)),
        client_streaming: Some(takes.1),
        output_type: Some(full_name(gives.0)),
        server_streaming: Some(gives.1),
        options: None,
    };
    FileDescriptorProto {
        dependency: vec![TIMESTAMP_FILE.to_owned()],
        service: vec![ServiceDescriptorProto {
            name: Some("FlightService".to_owned()),
            method: METHODS.iter().map(method).collect(),
            options: None,
        }],
        ..file("Flight.proto", PACKAGE, messages)
    }
}

/// The time of Protocol Buffers' own, on which Flight's file depends.
fn timestamp() -> FileDescriptorProto {
    let timestamp = message(&(
        "Timestamp",
        &[("seconds", 1, One(Type::Int64)), ("nanos", 2, One(Type::Int32))],
    ));
    file(TIMESTAMP_FILE, "google.protobuf", vec![timestamp])
}

fn file(name: &str, package: &str, messages: Vec<DescriptorProto>) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some(package.to_owned()),
        message_type: messages,
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    }
}

fn message((name, fields): &Message) -> DescriptorProto {
    let mut message = DescriptorProto {
        name: Some((*name).to_owned()),
        ..Default::default()
    };
    for (name, number, holds) in *fields {
        let mut field = field(name, *number, *holds);
        if field.proto3_optional() {
            // What may be missing is the only one of its own choice.
            field.oneof_index = i32::try_from(message.oneof_decl.len()).ok();
            message.oneof_decl.push(OneofDescriptorProto {
                name: Some(format!("_{name}")),
                options: None,
            });
        }
        message.field.push(field);
    }
    message
}

fn field(name: &str, number: i32, holds: Holds) -> FieldDescriptorProto {
    let (kind, of) = match holds {
        One(kind) | Many(kind) | Optional(kind) => (kind, None),
        Holds::Message(of) | Messages(of) => (Type::Message, Some(of)),
        Enumeration(of) => (Type::Enum, Some(of)),
    };
    let label = match holds {
        Many(_) | Messages(_) => Label::Repeated,
        One(_) | Optional(_) | Holds::Message(_) | Enumeration(_) => Label::Optional,
    };
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(kind.into()),
        type_name: of.map(full_name),
        proto3_optional: matches!(holds, Optional(_)).then_some(true),
        ..Default::default()
    }
}

/// A type's name from the root; names of the package are given without it.
fn full_name(name: &str) -> String {
    match name.starts_with('.') {
        true => name.to_owned(),
        false => format!(".{PACKAGE}.{name}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use arrow_flight::{
        Action, ActionType, Criteria, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
        HandshakeResponse, Location, PollInfo, PutResult, Result as ActionResult, SchemaResult, Ticket,
    };
    use bytes::{Buf, Bytes};
    use prost::Message as _;
    use prost::encoding::{WireType, decode_key, decode_varint};
    use prost_types::Timestamp;

    use super::*;

    /// A message of each kind that no other holds, with all of its fields. Without `..`, so that a field that comes to
    /// arrow-flight is seen here.
    fn messages() -> Vec<(&'static str, Vec<u8>)> {
        let (text, bytes) = (|| "x".to_owned(), || Bytes::from_static(b"x"));
        let descriptor = || FlightDescriptor {
            r#type: 1,
            cmd: bytes(),
            path: vec![text()],
        };
        let time = Timestamp { seconds: 1, nanos: 1 };
        let endpoint = FlightEndpoint {
            ticket: Some(Ticket { ticket: bytes() }),
            location: vec![Location { uri: text() }],
            expiration_time: Some(time),
            app_metadata: bytes(),
        };
        let info = FlightInfo {
            schema: bytes(),
            flight_descriptor: Some(descriptor()),
            endpoint: vec![endpoint],
            total_records: 1,
            total_bytes: 1,
            ordered: true,
            app_metadata: bytes(),
        };
        let poll = PollInfo {
            info: Some(info),
            flight_descriptor: Some(descriptor()),
            progress: Some(1.0),
            expiration_time: Some(time),
        };
        let hello = HandshakeRequest {
            protocol_version: 1,
            payload: bytes(),
        };
        let welcome = HandshakeResponse {
            protocol_version: 1,
            payload: bytes(),
        };
        let action_type = ActionType {
            r#type: text(),
            description: text(),
        };
        let action = Action {
            r#type: text(),
            body: bytes(),
        };
        let data = FlightData {
            flight_descriptor: Some(descriptor()),
            data_header: bytes(),
            app_metadata: bytes(),
            data_body: bytes(),
        };
        vec![
            ("HandshakeRequest", hello.encode_to_vec()),
            ("HandshakeResponse", welcome.encode_to_vec()),
            ("ActionType", action_type.encode_to_vec()),
            ("Criteria", Criteria { expression: bytes() }.encode_to_vec()),
            ("Action", action.encode_to_vec()),
            ("Result", ActionResult { body: bytes() }.encode_to_vec()),
            ("SchemaResult", SchemaResult { schema: bytes() }.encode_to_vec()),
            ("PollInfo", poll.encode_to_vec()),
            ("FlightData", data.encode_to_vec()),
            ("PutResult", PutResult { app_metadata: bytes() }.encode_to_vec()),
        ]
    }

    fn described_messages() -> Vec<DescriptorProto> {
        [flight().message_type, timestamp().message_type].concat()
    }

    /// Reads a message by its description; notes the fields that it has.
    fn read(mut bytes: &[u8], of: &str, fields: &mut BTreeSet<String>) {
        let messages = described_messages();
        let message = messages.iter().find(|message| message.name() == of).unwrap();
        while bytes.has_remaining() {
            let (number, wire) = decode_key(&mut bytes).unwrap();
            let field = message
                .field
                .iter()
                .find(|field| field.number().cast_unsigned() == number);
            let field = field.unwrap_or_else(|| panic!("{of} has a field {number} that is not described"));
            fields.insert(format!("{of}.{}", field.name()));
            match (wire, field.r#type()) {
                (WireType::Varint, Type::Int32 | Type::Int64 | Type::Uint64 | Type::Bool | Type::Enum) => {
                    decode_varint(&mut bytes).unwrap();
                }
                (WireType::SixtyFourBit, Type::Double) => bytes.advance(8),
                (WireType::LengthDelimited, kind) => {
                    let length = usize::try_from(decode_varint(&mut bytes).unwrap()).unwrap();
                    let (inner, rest) = bytes.split_at(length);
                    match kind {
                        Type::Message => read(inner, field.type_name().rsplit('.').next().unwrap(), fields),
                        Type::Bytes | Type::String => {}
                        _ => panic!("{of}.{} is described as {kind:?}", field.name()),
                    }
                    bytes = rest;
                }
                (wire, kind) => panic!("{of}.{} is described as {kind:?} and is {wire:?}", field.name()),
            }
        }
    }

    #[test]
    fn messages_are_described_as_they_are() {
        let mut fields = BTreeSet::new();
        for (name, bytes) in messages() {
            read(&bytes, name, &mut fields);
        }
        let described = described_messages();
        let described = described.iter().flat_map(|message| {
            let fields = message.field.iter();
            fields.map(move |field| format!("{}.{}", message.name(), field.name()))
        });
        assert_eq!(fields, described.collect());
    }
}
