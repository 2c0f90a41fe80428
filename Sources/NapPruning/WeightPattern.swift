import NapGraph

/// So many weights of every few neighbours along the input channels, as sparse matrix units of
/// processors want them; `2:4` keeps two of four.
package struct WeightPattern: Sendable, Hashable, Codable, CustomStringConvertible {
  package let kept: Int
  package let size: Int

  package init(kept: Int, of size: Int) {
    precondition(0 < kept && kept < size)
    (self.kept, self.size) = (kept, size)
  }

  package var description: String { "\(kept):\(size)" }

  /// The columns of a layer's weight matrix in groups of neighbouring input channels.
  ///
  /// `nil` where the channels cannot be shared out evenly.
  func groups(of layer: LayerModel) -> [[Int]]? {
    let (channels, positions) = (layer.inputFeatures, layer.positionsInKernel)
    guard channels % size == 0, channels > 0 else { return nil }
    return stride(from: 0, to: channels, by: size).flatMap { first in
      (0..<positions).map { position in
        (first..<first + size).map { $0 * positions + position }
      }
    }
  }
}
