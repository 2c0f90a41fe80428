extension Float {
  /// The value of an IEEE 754 half-precision number.
  ///
  /// `Float16` does not exist on every platform Swift runs on (Intel Macs).
  package init(halfBits bits: UInt16) {
    let (exponent, fraction) = (Int(bits >> 10) & 0x1f, Float(bits & 0x3ff))
    let magnitude: Float =
      switch exponent {
      case 0: fraction * 0x1p-24
      case 31: fraction == 0 ? .infinity : .nan
      default:
        (1 + fraction * 0x1p-10) * Float(sign: .plus, exponent: exponent - 15, significand: 1)
      }
    self = bits >> 15 == 0 ? magnitude : -magnitude
  }
}
