internal import CNapDNN

/// The library that most kernels are from.
package enum OneDNN {
  /// Such as `3.7.2`.
  package static var version: String { String(cString: nap_dnn_version()) }

  /// The best set of instructions that it uses here, in its own words.
  package static var instructions: String { String(cString: nap_dnn_instructions()) }
}
