import NapKit

// Examples that a program makes itself: points, and whether they lie inside of a ring.
struct Points: ExampleSource {
  let count: Int
  let inputs = [ArrayDescription(name: "point", shape: [2])]
  let targets = [ArrayDescription(name: "side", shape: [], numbers: .classes(2))]

  func example(at index: Int) -> Example {
    let (x, y) = (Float(index % 40) / 20 - 1, Float(index / 40 % 40) / 20 - 1)
    let isInside = x * x + y * y < 0.6
    return Example(inputs: [[x, y]], targets: [[isInside ? 1 : 0]])
  }
}

var builder = NetworkBuilder(name: "ring")
let point = builder.input([2], "point")
let a = builder.relu(builder.linear(point, 32, "a"))
let b = builder.relu(builder.linear(a, 32, "b"))
builder.output(builder.linear(b, 2, "classes"), "logits")

let source = DataSource(Points(count: 1600), name: "points")
var training = Training(source: source)
training.epochs = 20
training.batchSize = 32
training.learningRate = 0.05
let (trained, _) = try training.run(builder.network)

var pruning = Pruning(source: source)
pruning.goal = .macs(0.5)
pruning.epochs = 5
let (smaller, report) = try pruning.run(trained)
print(report.measure.rawValue, report.accuracyBefore, report.accuracyAfter)
print(trained.macs, "->", smaller.macs, "multiply-accumulates")

// What is left runs here, on arrays, or anywhere as an ONNX file.
let outputs = try smaller.run(["point": NumericArray(shape: [1, 2], values: [0, 0.1])])
print(outputs["logits"]?.values ?? [])
print(try smaller.data().count, "bytes")
