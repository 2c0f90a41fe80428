import Foundation

/// A named source of randomness: numbers depend on the name, never on the order of draws elsewhere.
package struct Seed: Sendable, Hashable {
  package let value: UInt64

  package init(_ value: UInt64) { self.value = value }

  /// A seed of its own for one purpose, such as `seed.derived("shuffle").derived(epoch)`.
  package func derived(_ name: String) -> Seed {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return derived(hash)
  }

  package func derived(_ index: Int) -> Seed { derived(UInt64(bitPattern: Int64(index))) }

  private func derived(_ word: UInt64) -> Seed {
    var generator = SplitMix64(state: value ^ (word &* 0x9e37_79b9_7f4a_7c15))
    return Seed(generator.next())
  }

  package func generator() -> SplitMix64 { SplitMix64(state: value) }

  /// A tensor of normal numbers around 0.
  package func normal(_ shape: [Int], deviation: Float) -> Tensor {
    var generator = generator()
    let floats = (0..<shape.product).map { _ -> Float in
      let (a, b) = (max(generator.uniform(), 1e-7), generator.uniform())
      return deviation * (-2 * log(a)).squareRoot() * cos(2 * .pi * b)
    }
    return Tensor(shape: shape, floats: floats)
  }
}

/// The SplitMix64 generator: small, fast, good enough for shuffling, augmentation and sampling.
///
/// - Source: Steele, Lea & Flood 2014, doi:10.1145/2714064.2660195.
package struct SplitMix64: RandomNumberGenerator, Sendable {
  package var state: UInt64

  package init(state: UInt64) { self.state = state }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// A uniform number in `0..<1`.
  package mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }
}
