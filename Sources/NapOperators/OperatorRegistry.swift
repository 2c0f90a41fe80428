package import NapGraph

/// Every operator, alphabetically: a new one is a file of its own and a line here.
package let allOperators: [any Operator.Type] = [
  Add.self,
  AveragePool.self,
  BatchNormalization.self,
  Cast.self,
  Clip.self,
  Concat.self,
  Conv.self,
  Div.self,
  Dropout.self,
  Flatten.self,
  Gemm.self,
  GlobalAveragePool.self,
  HardSigmoid.self,
  HardSwish.self,
  Identity.self,
  LRN.self,
  LeakyRelu.self,
  LogSoftmax.self,
  MatMul.self,
  MaxPool.self,
  Mul.self,
  Pad.self,
  ReduceMean.self,
  Relu.self,
  Reshape.self,
  Sigmoid.self,
  Slice.self,
  Softmax.self,
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
