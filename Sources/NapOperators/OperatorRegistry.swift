package import NapGraph

/// Every operator, alphabetically: a new one is a file of its own and a line here.
package let allOperators: [any Operator.Type] = [
  Add.self,
  Cast.self,
  Clip.self,
  Concat.self,
  Div.self,
  Dropout.self,
  Flatten.self,
  HardSigmoid.self,
  HardSwish.self,
  Identity.self,
  LeakyRelu.self,
  Mul.self,
  Pad.self,
  Relu.self,
  Reshape.self,
  Sigmoid.self,
  Slice.self,
  Split.self,
  Squeeze.self,
  Sub.self,
  Tanh.self,
  Transpose.self,
  Unsqueeze.self,
]

extension OperatorRegistry {
  /// The operators nap understands.
  package static let all = OperatorRegistry(allOperators)
}
