#include "examples/segmentation/files.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "examples/segmentation/error.hpp"

namespace fs = std::filesystem;

namespace segment {

std::string read_text_file(const std::string& path, std::size_t limit) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) fail(path, ": no such file; check the path");
  if (!fs::is_regular_file(status)) fail(path, ": is not a regular file; give the path of a file");
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, ": cannot be opened (", std::strerror(errno), "); check its permissions");
  std::string content;
  char block[1 << 16];
  while (in.read(block, sizeof block) || in.gcount() > 0) {
    content.append(block, static_cast<std::size_t>(in.gcount()));
    if (content.size() > limit) fail(path, ": is longer than ", limit, " bytes; is it the right file?");
  }
  if (in.bad()) fail(path, ": cannot be read (", std::strerror(errno), ")");
  return content;
}

void write_file(const std::string& path, std::string_view content) {
  replace_file(path, [&](const std::string& temporary) {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    out.close();
    if (!out) {
      fail(path, ": cannot be written (", std::strerror(errno),
           "); check the folder's permissions and free space");
    }
  });
}

std::string base64(std::span<const std::uint8_t> bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const std::uint32_t group = (std::uint32_t{bytes[i]} << 16) |
                                (left > 1 ? std::uint32_t{bytes[i + 1]} << 8 : 0) |
                                (left > 2 ? std::uint32_t{bytes[i + 2]} : 0);
    text += digits[group >> 18];
    text += digits[(group >> 12) & 63];
    text += left > 1 ? digits[(group >> 6) & 63] : '=';
    text += left > 2 ? digits[group & 63] : '=';
  }
  return text;
}

namespace detail {

std::string temporary_name(const std::string& path, std::string_view suffix) {
  if (fs::path(path).filename().empty())
    fail("'", path, "': names no file; give the path of a file to write");
  return path + ".tmp" + std::to_string(::getpid()) + std::string(suffix);
}

void commit_file(const std::string& temporary, const std::string& path) {
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error)
    fail(path, ": cannot be replaced (", error.message(), "); check that it is a file and may be written");
}

void discard_file(const std::string& temporary) noexcept {
  std::error_code ignored;
  fs::remove(temporary, ignored);
}

}  // namespace detail
}  // namespace segment
