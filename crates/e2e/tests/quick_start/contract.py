"""Messages and calls of orchestrator.v1, learned from a server's reflection."""

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


class Contract:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def message(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"orchestrator.v1.{name}"))

    def call(self, service, method):
        rpc = self.pool.FindServiceByName(f"orchestrator.v1.{service}").FindMethodByName(method)
        kind = {(False, False): "unary_unary", (False, True): "unary_stream", (True, True): "stream_stream"}
        make = getattr(self.channel, kind[rpc.client_streaming, rpc.server_streaming])
        answer = message_factory.GetMessageClass(rpc.output_type)
        return make(
            f"/orchestrator.v1.{service}/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    def status(self, number):
        return self.pool.FindEnumTypeByName("orchestrator.v1.TaskStatus").values_by_number[number].name
