package import NapGraph
package import NapTensor

/// An affine operator whose input already is what its weight matrix is multiplied by.
package protocol PositionMajorOperator: AffineOperator {}

extension PositionMajorOperator {
  package var patchesArePositionMajor: Bool { true }

  package func writePatches(
    of x: UnsafePointer<Float>, shape: [Int], examples: Range<Int>, group: Int, grid: PositionGrid,
    into rows: UnsafeMutablePointer<Float>
  ) -> Int {
    let size = shape.dropFirst().product
    rows.update(from: x + examples.lowerBound * size, count: examples.count * size)
    return size / max(1, shape[shape.count - 1])
  }

  package func matrices(ofWeight weight: Tensor) -> Tensor {
    let matrix = scaled(oriented(weight), by: weightFactor)
    return matrix.reshaped(to: [1] + matrix.shape)
  }

  package func weight(ofMatrices matrices: Tensor, shape: [Int]) -> Tensor {
    let matrix = matrices.reshaped(to: Array(matrices.shape.dropFirst()))
    return scaled(oriented(matrix), by: 1 / weightFactor)
  }

  /// The matrix with output features first, or back: its own inverse.
  private func oriented(_ matrix: Tensor) -> Tensor {
    weightOutputAxis == 0 ? matrix : Transpose(permutation: [1, 0]).forward([matrix])[0]
  }

  private func scaled(_ tensor: Tensor, by factor: Float) -> Tensor {
    factor == 1 ? tensor : Tensor(shape: tensor.shape, floats: tensor.floats.map { $0 * factor })
  }
}
