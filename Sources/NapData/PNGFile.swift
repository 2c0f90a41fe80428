internal import CNapPNG
package import Foundation

/// An image to write as PNG: rows of red, green and blue bytes.
package struct PNGFile {
  package let width: Int
  package let height: Int
  package var pixels: [UInt8]

  /// All white.
  package init(width: Int, height: Int) {
    (self.width, self.height) = (width, height)
    pixels = [UInt8](repeating: 255, count: width * height * 3)
  }

  /// Gives one color to what is in the image of a rectangle.
  package mutating func fill(x: Range<Int>, y: Range<Int>, _ color: (UInt8, UInt8, UInt8)) {
    for row in y.clamped(to: 0..<height) {
      for column in x.clamped(to: 0..<width) {
        let i = (row * width + column) * 3
        (pixels[i], pixels[i + 1], pixels[i + 2]) = color
      }
    }
  }

  /// The bytes of the file; `nil` where there is no image or no memory for it.
  package func encoded() -> Data? {
    guard width > 0, height > 0 else { return nil }
    var image = png_image()
    image.version = UInt32(PNG_IMAGE_VERSION)
    (image.width, image.height) = (UInt32(width), UInt32(height))
    image.format = UInt32(PNG_FORMAT_FLAG_COLOR)
    var size = 0
    guard png_image_write_to_memory(&image, nil, &size, 0, pixels, 0, nil) != 0 else { return nil }
    var data = Data(count: size)
    let isWritten = data.withUnsafeMutableBytes {
      png_image_write_to_memory(&image, $0.baseAddress, &size, 0, pixels, 0, nil) != 0
    }
    return isWritten ? data.prefix(size) : nil
  }
}
