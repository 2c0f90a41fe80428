package import NapGraph

/// Every operator, alphabetically: a new one is a file of its own and a line here.
package let allOperators: [any Operator.Type] = [
  Add.self,
  Div.self,
  Flatten.self,
  Identity.self,
  Mul.self,
  Pad.self,
  Relu.self,
  Reshape.self,
  Slice.self,
  Sub.self,
]

extension OperatorRegistry {
  /// The operators nap understands.
  package static let all = OperatorRegistry(allOperators)
}
