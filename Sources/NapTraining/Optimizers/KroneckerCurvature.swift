package import NapKernels

/// The curvature along one weight: about `A ⊗ G` in every group, damped.
package struct KroneckerCurvature: Codable {
  package struct Group: Codable {
    /// `A`, without the constant input that stands for the bias.
    package var inputs: BlockDiagonalMatrix
    /// `G`.
    package var outputs: Matrix

    package init(inputs: BlockDiagonalMatrix, outputs: Matrix) {
      self.inputs = inputs
      self.outputs = outputs
    }
  }

  package let groups: [Group]
  /// Whether the weight is `[groups · out, in]`, not `[groups · in, out]`.
  package let outputsAreRows: Bool
  /// Neighbouring inputs that stay together where outputs are no rows: the weight then is
  /// `[groups · in / kernel, out, kernel]`.
  package let kernel: Int

  package init(_ groups: [Group], outputsAreRows: Bool, kernel: Int = 1) {
    precondition(!groups.isEmpty && groups[0].inputs.size % kernel == 0)
    self.groups = groups
    self.outputsAreRows = outputsAreRows
    self.kernel = kernel
  }

  /// Elements of the weight.
  var count: Int { groups.count * groups[0].outputs.rows * groups[0].inputs.size }

  /// Where an element of a group's matrix `[out, in]` is in the weight.
  package func place(group: Int, row: Int, column: Int) -> Int {
    let (outputs, inputs) = (groups[0].outputs.rows, groups[0].inputs.size)
    if outputsAreRows { return (group * outputs + row) * inputs + column }
    let (input, place) = column.quotientAndRemainder(dividingBy: kernel)
    return group * outputs * inputs + (input * outputs + row) * kernel + place
  }

  /// What points steps to the minimum; `nil` where the curvature is not positive definite.
  ///
  /// - Parameter mask: which elements may move; `nil` for all.
  package func preconditioner(mask: [Bool]? = nil) -> (any Preconditioner)? {
    if let mask, let masked = MaskedPreconditioner(self, mask: mask) { return masked }
    return KroneckerPreconditioner(self)
  }
}
