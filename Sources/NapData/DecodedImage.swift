internal import CNapJPEG
internal import CNapPNG
import Foundation

/// A JPEG or PNG image in memory: rows of red, green and blue bytes.
struct DecodedImage {
  let width: Int
  let height: Int
  let pixels: [UInt8]

  private static let largestSide = 32_768

  init(path: String) throws(DataError) {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .unreadable(path: path, reason: "no permission, or not a file")
    }
    let isPNG = data.prefix(4) == Data([0x89, 0x50, 0x4e, 0x47])
    guard let image = isPNG ? Self.decodePNG(data) : Self.decodeJPEG(data) else {
      throw .undecodable(path: path, reason: "it is not a complete JPEG or PNG image")
    }
    (width, height, pixels) = image
  }

  private static func decodeJPEG(_ data: Data) -> (Int, Int, [UInt8])? {
    guard let decoder = tjInitDecompress() else { return nil }
    defer { tjDestroy(decoder) }
    return data.withUnsafeBytes { raw -> (Int, Int, [UInt8])? in
      let bytes = raw.bindMemory(to: UInt8.self).baseAddress
      var (width, height, sampling, space) = (Int32(0), Int32(0), Int32(0), Int32(0))
      guard
        tjDecompressHeader3(
          decoder, bytes, UInt(data.count), &width, &height, &sampling, &space) == 0,
        (1...largestSide).contains(Int(width)), (1...largestSide).contains(Int(height))
      else { return nil }
      var pixels = [UInt8](repeating: 0, count: Int(width) * Int(height) * 3)
      let status = tjDecompress2(
        decoder, bytes, UInt(data.count), &pixels, width, 0, height, Int32(TJPF_RGB.rawValue), 0)
      return status == 0 ? (Int(width), Int(height), pixels) : nil
    }
  }

  private static func decodePNG(_ data: Data) -> (Int, Int, [UInt8])? {
    // libpng is content with a file whose last chunks are missing.
    guard data.range(of: Data("IEND".utf8), options: .backwards) != nil,
      data.suffix(4) != Data("IEND".utf8)
    else { return nil }
    return data.withUnsafeBytes { raw -> (Int, Int, [UInt8])? in
      var image = png_image()
      image.version = UInt32(PNG_IMAGE_VERSION)
      guard png_image_begin_read_from_memory(&image, raw.baseAddress, data.count) != 0 else {
        return nil
      }
      defer { png_image_free(&image) }
      let (width, height) = (Int(image.width), Int(image.height))
      guard (1...largestSide).contains(width), (1...largestSide).contains(height) else {
        return nil
      }
      image.format = UInt32(PNG_FORMAT_FLAG_COLOR)
      var pixels = [UInt8](repeating: 0, count: width * height * 3)
      // Transparent pixels are laid over black.
      var background = png_color(red: 0, green: 0, blue: 0)
      guard png_image_finish_read(&image, &background, &pixels, 0, nil) != 0 else { return nil }
      return (width, height, pixels)
    }
  }

  /// Writes the image as three planes of another size: the shorter side is brought to size by
  /// bilinear interpolation, the middle is cut out.
  func writePlanes(
    height newHeight: Int, width newWidth: Int, into planes: UnsafeMutablePointer<UInt8>
  ) {
    let scale = max(Float(newHeight) / Float(height), Float(newWidth) / Float(width))
    let top = (Float(height) - Float(newHeight) / scale) / 2
    let left = (Float(width) - Float(newWidth) / scale) / 2
    func clamped(_ value: Int, _ size: Int) -> Int { min(max(value, 0), size - 1) }
    for y in 0..<newHeight {
      let sourceY = top + (Float(y) + 0.5) / scale - 0.5
      let y0 = Int(sourceY.rounded(.down))
      let fy = sourceY - Float(y0)
      let (row0, row1) = (clamped(y0, height) * width, clamped(y0 + 1, height) * width)
      for x in 0..<newWidth {
        let sourceX = left + (Float(x) + 0.5) / scale - 0.5
        let x0 = Int(sourceX.rounded(.down))
        let fx = sourceX - Float(x0)
        let (c0, c1) = (clamped(x0, width), clamped(x0 + 1, width))
        for channel in 0..<3 {
          func at(_ row: Int, _ column: Int) -> Float {
            Float(pixels[(row + column) * 3 + channel])
          }
          let upper = at(row0, c0) * (1 - fx) + at(row0, c1) * fx
          let lower = at(row1, c0) * (1 - fx) + at(row1, c1) * fx
          let value = upper * (1 - fy) + lower * fy
          planes[(channel * newHeight + y) * newWidth + x] = UInt8(
            min(255, max(0, value.rounded())))
        }
      }
    }
  }
}
