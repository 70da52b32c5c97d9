/** grpc-js method descriptions from generated messages. */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type {
  MethodDefinition,
  ServiceDefinition,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";

/** Pass both to `server.addService`. */
export interface MountableService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

interface MethodShape<Input extends DescMessage, Output extends DescMessage> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly input: Input;
  readonly output: Output;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** Works for both sides: a server registers it, a client calls by it. */
export function grpcMethod<Input extends DescMessage, Output extends DescMessage>(
  shape: MethodShape<Input, Output>,
): MethodDefinition<MessageShape<Input>, MessageShape<Output>> {
  const { input, output } = shape;
  return {
    path: shape.path,
    requestStream: shape.requestStream,
    responseStream: shape.responseStream,
    requestSerialize: (message) => Buffer.from(toBinary(input, message)),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(output, message)),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}
