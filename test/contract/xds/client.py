"""A raw delta xDS client over Python's grpc (its C core) with the official Envoy messages: an independent peer.

Reads one request a line from stdin as JSON, writes one response a line to stdout, answers nothing by itself.
usage: client.py HOST:PORT
"""

import json
import queue
import sys
import threading

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import json_format


def request_of(fields):
    request = discovery_pb2.DeltaDiscoveryRequest(
        type_url=fields["typeUrl"],
        resource_names_subscribe=fields.get("subscribe", []),
        resource_names_unsubscribe=fields.get("unsubscribe", []),
        initial_resource_versions=fields.get("versions", {}),
        response_nonce=fields.get("nonce", ""),
    )
    if "node" in fields:
        json_format.ParseDict(fields["node"], request.node)
    if "error" in fields:
        request.error_detail.message = fields["error"]
    return request


def print_line(value):
    print(json.dumps(value), flush=True)


def read_requests(requests):
    for line in sys.stdin:
        requests.put(request_of(json.loads(line)))
    requests.put(None)


def main():
    requests = queue.Queue()
    threading.Thread(target=read_requests, args=(requests,), daemon=True).start()
    channel = grpc.insecure_channel(sys.argv[1])
    stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
    try:
        for response in stub.DeltaAggregatedResources(iter(requests.get, None)):
            print_line(
                {
                    "typeUrl": response.type_url,
                    "nonce": response.nonce,
                    "resources": [
                        {
                            "name": one.name,
                            "version": one.version,
                            "aliases": list(one.aliases),
                            "typeUrl": one.resource.type_url,
                            "bytes": one.resource.value.hex(),
                        }
                        for one in response.resources
                    ],
                    "removed": list(response.removed_resources),
                }
            )
        print_line({"ended": "OK"})
    except grpc.RpcError as error:
        print_line({"ended": error.code().name, "details": error.details()})


main()
