import NapKit

// Two inputs, an image and some numbers, and two outputs.
var builder = NetworkBuilder(name: "two heads", seed: 1)
let image = builder.input([1, 8, 8], "image")
let numbers = builder.input([4], "numbers")
var x = builder.convolution(image, 16, kernel: 3, "conv1")
x = builder.relu(builder.normalization(x, "bn1"))
x = builder.maxPool(x)
x = builder.relu(builder.convolution(x, 32, kernel: 3, "conv2"))
let features = builder.concatenate([builder.globalAveragePool(x), numbers])
let hidden = builder.relu(builder.linear(features, 32, "hidden"))
builder.output(builder.linear(hidden, 3, "kind"), "kind")
builder.output(builder.linear(hidden, 1, "size"), "size")
let network = builder.network

for input in network.inputs { print(input.name, input.shape) }
for layer in network.layers { print(layer.name, layer.weightShape, layer.macs) }

let compiled = try network.compiled(batchSize: 2)
let outputs = try compiled.run([
  "image": NumericArray(shape: [2, 1, 8, 8], values: [Float](repeating: 0.5, count: 128)),
  "numbers": NumericArray(shape: [2, 4], values: [1, 2, 3, 4, 5, 6, 7, 8]),
])
print(outputs["kind"]?.shape ?? [], outputs["size"]?.values ?? [])

// Through an ONNX file's bytes and back.
let again = try Network(data: try network.data())
print(again.macs == network.macs, again.parameter("hidden.bias")?.shape ?? [])
