package import Foundation
package import NapTensor

/// An array as NumPy stores it. Its bytes become numbers as they are asked for, so that images in a file
/// that is mapped take no memory of their own.
///
/// - Source: NEP 1, the NPY format.
package struct NumPyArray: Sendable {
  /// What one element is: its kind and its bytes.
  private enum Element: String {
    case f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, u8, b1

    var isFloat: Bool { self == .f2 || self == .f4 || self == .f8 }

    /// As NumPy has it.
    var name: String {
      switch self {
      case .f2, .f4, .f8: "float\(8 * width)"
      case .i1, .i2, .i4, .i8: "int\(8 * width)"
      case .u1, .u2, .u4, .u8: "uint\(8 * width)"
      case .b1: "bool"
      }
    }

    var width: Int {
      switch self {
      case .i1, .u1, .b1: 1
      case .f2, .i2, .u2: 2
      case .f4, .i4, .u4: 4
      case .f8, .i8, .u8: 8
      }
    }
  }

  package let shape: [Int]
  private let element: Element
  private let isBigEndian: Bool
  /// Row by row.
  private let bytes: Data

  package var count: Int { shape.product }
  package var isFloat: Bool { element.isFloat }
  /// Of the elements, as NumPy names it.
  package var typeName: String { element.name }
}

// MARK: Header
extension NumPyArray {
  private static let mark: [UInt8] = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

  /// - Parameters:
  ///   - data: a whole `.npy` file.
  ///   - path: what to call it in errors.
  package init(_ data: Data, path: String) throws(FileError) {
    func malformed(_ reason: String) -> FileError {
      .malformed(path: path, format: "npy", reason: reason)
    }
    let head = [UInt8](data.prefix(12))
    guard head.count == 12, head.starts(with: Self.mark) else {
      throw malformed("it does not begin with NumPy's mark")
    }
    let isLong = head[6] >= 2
    let length = (isLong ? 8..<12 : 8..<10).reversed().reduce(0) { $0 << 8 | Int(head[$1]) }
    let start = (isLong ? 12 : 10) + length
    guard start <= data.count else { throw malformed("it ends too early") }
    let header = String(decoding: data.prefix(start).dropFirst(isLong ? 12 : 10), as: UTF8.self)
    guard let type = header.firstMatch(of: /'descr':\s*'([<>|=]?)([a-zA-Z]\d*)/),
      let order = header.firstMatch(of: /'fortran_order':\s*(True|False)/),
      let dimensions = header.firstMatch(of: /'shape':\s*\(([\d,\s]*)\)/)
    else { throw malformed("its header is not understood") }
    guard let element = Element(rawValue: String(type.2)) else {
      throw malformed("elements of type \(type.2) are no numbers that nap knows")
    }
    let sizes = dimensions.1.split(separator: ",")
      .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    let shape = sizes.compactMap { Int($0) }
    let bytes = data.dropFirst(start)
    guard shape.count == sizes.count, let count = shape.elementCount else {
      throw malformed("its shape (\(dimensions.1)) is impossible")
    }
    guard bytes.count == count * element.width else {
      throw malformed(
        "it holds \(bytes.count) bytes of numbers instead of \(count * element.width)")
    }
    self.shape = shape
    self.element = element
    isBigEndian = type.1 == ">"
    let isByColumns = order.1 == "True" && shape.count > 1
    self.bytes = isByColumns ? Self.byRows(bytes, shape, width: element.width) : bytes
  }

  /// Elements that were stored with the first axis running fastest.
  private static func byRows(_ bytes: Data, _ shape: [Int], width: Int) -> Data {
    var strides = [Int](repeating: width, count: shape.count)
    for axis in shape.indices.dropFirst() { strides[axis] = strides[axis - 1] * shape[axis - 1] }
    var result = Data(capacity: bytes.count)
    bytes.withUnsafeBytes { raw in
      for position in 0..<shape.product {
        var (rest, start) = (position, 0)
        for axis in shape.indices.reversed() {
          start += rest % shape[axis] * strides[axis]
          rest /= shape[axis]
        }
        result.append(contentsOf: raw[start..<start + width])
      }
    }
    return result
  }
}

// MARK: Elements
extension NumPyArray {
  /// Floats become `float32`, all else `int64`.
  package var tensor: Tensor {
    isFloat
      ? Tensor(shape: shape, floats: floats(0..<count))
      : Tensor(shape: shape, integers: integers(0..<count))
  }

  /// Some elements, row by row.
  package func copy(_ range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    bytes.withUnsafeBytes { raw in
      if element == .f4, !isBigEndian {
        let part = UnsafeRawBufferPointer(
          rebasing: raw[4 * range.lowerBound..<4 * range.upperBound])
        UnsafeMutableRawBufferPointer(start: target, count: part.count).copyMemory(from: part)
        return
      }
      for (k, i) in range.enumerated() { target[k] = float(raw, i) }
    }
  }

  package func floats(_ range: Range<Int>) -> [Float] {
    [Float](unsafeUninitializedCapacity: range.count) { buffer, count in
      if let base = buffer.baseAddress { copy(range, into: base) }
      count = range.count
    }
  }

  /// Some elements that are no floats; those beyond `int64` as the largest it has.
  package func integers(_ range: Range<Int>) -> [Int64] {
    bytes.withUnsafeBytes { raw in range.map { integer(raw, $0) } }
  }

  /// Some elements that are in `0...255`.
  package func copy(_ range: Range<Int>, into target: UnsafeMutablePointer<UInt8>) {
    bytes.withUnsafeBytes { raw in
      if element.width == 1 {
        let part = UnsafeRawBufferPointer(rebasing: raw[range])
        UnsafeMutableRawBufferPointer(start: target, count: part.count).copyMemory(from: part)
        return
      }
      for (k, i) in range.enumerated() { target[k] = UInt8(clamping: integer(raw, i)) }
    }
  }

  /// Whether all elements are integers in a range.
  package func lies(in bounds: ClosedRange<Int64>) -> Bool {
    if element == .u1 || element == .b1, bounds.contains(0), bounds.contains(255) { return true }
    if element.width < 4, !isFloat, bounds.contains(-32_768), bounds.contains(65_535) {
      return true
    }
    return !isFloat
      && bytes.withUnsafeBytes { raw in (0..<count).allSatisfy { bounds.contains(integer(raw, $0)) }
      }
  }

  /// The least and the largest element; `nil` without elements.
  package var range: ClosedRange<Float>? {
    guard count > 0 else { return nil }
    return bytes.withUnsafeBytes { raw in
      var (least, largest) = (Float.infinity, -Float.infinity)
      for i in 0..<count {
        let number = float(raw, i)
        (least, largest) = (min(least, number), max(largest, number))
      }
      return least <= largest ? least...largest : nil
    }
  }

  /// The place of the first element that is not finite, or not within what `float32` holds.
  package var firstNonfinite: Int? {
    guard isFloat else { return nil }
    return bytes.withUnsafeBytes { raw in (0..<count).first { !float(raw, $0).isFinite } }
  }

  @inline(__always)
  private func word<Word: FixedWidthInteger & BitwiseCopyable>(
    _: Word.Type, _ raw: UnsafeRawBufferPointer, _ i: Int
  ) -> Word {
    let word = raw.loadUnaligned(fromByteOffset: i * MemoryLayout<Word>.size, as: Word.self)
    return isBigEndian ? Word(bigEndian: word) : Word(littleEndian: word)
  }

  @inline(__always)
  private func float(_ raw: UnsafeRawBufferPointer, _ i: Int) -> Float {
    switch element {
    case .f2: Float(halfBits: word(UInt16.self, raw, i))
    case .f4: Float(bitPattern: word(UInt32.self, raw, i))
    case .f8: Float(Double(bitPattern: word(UInt64.self, raw, i)))
    default: Float(integer(raw, i))
    }
  }

  @inline(__always)
  private func integer(_ raw: UnsafeRawBufferPointer, _ i: Int) -> Int64 {
    switch element {
    case .i1: Int64(word(Int8.self, raw, i))
    case .i2: Int64(word(Int16.self, raw, i))
    case .i4: Int64(word(Int32.self, raw, i))
    case .i8: word(Int64.self, raw, i)
    case .u1, .b1: Int64(word(UInt8.self, raw, i))
    case .u2: Int64(word(UInt16.self, raw, i))
    case .u4: Int64(word(UInt32.self, raw, i))
    case .u8: Int64(clamping: word(UInt64.self, raw, i))
    case .f2, .f4, .f8: preconditionFailure("floats are not asked for as integers")
    }
  }
}
