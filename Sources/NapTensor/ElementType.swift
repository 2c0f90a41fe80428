/// The element types a `Tensor` can hold; the raw value is ONNX's name for the type.
///
/// Numbers are kept in two storages: `Float` for `.float32`, `Int64` for all the others.
package enum ElementType: String, Codable, Sendable, Hashable, CaseIterable {
  case float32 = "float"
  case int64
  case int32
  case bool
}
