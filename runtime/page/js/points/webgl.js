// Points by WebGL2: places stay on the graphics processor, a frame sends a few numbers.

const SOFTWARE = /swiftshader|llvmpipe|softpipe|basic render|software/i; // renderers that no processor of graphics helps

const VERTEX = `#version 300 es
layout(location = 0) in vec2 place;
layout(location = 1) in uint shade;
layout(location = 2) in uint flag;
uniform vec4 view; // place -> clip space: scale x, y, offset x, y
uniform float size;
uniform uint drawn; // points with this flag
uniform float opacity;
uniform sampler2D palette;
out vec4 colour;
void main() {
  gl_Position = flag == drawn ? vec4(place * view.xy + view.zw, 0, 1) : vec4(2, 2, 2, 1);
  gl_PointSize = size;
  colour = vec4(texelFetch(palette, ivec2(int(shade), 0), 0).rgb * opacity, opacity);
}`;
const FRAGMENT = `#version 300 es
precision highp float; // as in the vertex shader: both have the uniform size
in vec4 colour;
uniform float size;
out vec4 painted;
void main() {
  painted = colour * clamp(size * (0.5 - length(gl_PointCoord - 0.5)) + 0.5, 0.0, 1.0);
}`;

class WebglPainter {
  // null where there is no WebGL2 now, or only by software.
  static on(canvas, places) {
    const gl = canvas.getContext("webgl2", { antialias: false, depth: false, failIfMajorPerformanceCaveat: true });
    if (!gl || gl.isContextLost()) return null;
    const plain = String(gl.getParameter(gl.RENDERER)), named = /^webkit webgl$/i.test(plain) && gl.getExtension("WEBGL_debug_renderer_info");
    if (!SOFTWARE.test(named ? gl.getParameter(named.UNMASKED_RENDERER_WEBGL) : plain)) return new WebglPainter(gl, places);
    gl.getExtension("WEBGL_lose_context")?.loseContext(); // browsers have few of them
    return null;
  }

  constructor(gl, places) {
    this.gl = gl;
    this.canvas = gl.canvas;
    this.count = places.length / 2;
    const program = (this.program = gl.createProgram());
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) console.warn(gl.getProgramInfoLog(program));
    this.at = Object.fromEntries(["view", "size", "drawn", "opacity", "palette"].map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.bindVertexArray(gl.createVertexArray());
    this.buffers = [places, new Uint8Array(this.count), new Uint8Array(this.count)].map((array, i) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, array, i ? gl.DYNAMIC_DRAW : gl.STATIC_DRAW);
      gl.enableVertexAttribArray(i);
      if (i) gl.vertexAttribIPointer(i, 1, gl.UNSIGNED_BYTE, 0, 0);
      else gl.vertexAttribPointer(0, 2, gl.UNSIGNED_SHORT, true, 0, 0);
      return buffer;
    });
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(program);
  }

  shades(shades, palette) {
    this.send(1, shades);
    this.gl.texImage2D(this.gl.TEXTURE_2D, 0, this.gl.RGBA, 256, 1, 0, this.gl.RGBA, this.gl.UNSIGNED_BYTE, palette);
  }

  flags(flags) { this.send(2, flags); }

  send(number, array) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers[number]);
    this.gl.bufferSubData(this.gl.ARRAY_BUFFER, 0, array);
  }

  finish() { this.gl.readPixels(0, 0, 1, 1, this.gl.RGBA, this.gl.UNSIGNED_BYTE, new Uint8Array(4)); }

  // frame: what PointView.frame gives; passes: [[flag, opacity], ...] in the order of drawing.
  paint({ wide, high, kx, ky, x0, y0 }, size, passes) {
    const { gl, at } = this;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform4f(at.view, (2 * kx) / wide, (2 * ky) / high, (2 * x0) / wide - 1, 1 - (2 * y0) / high);
    gl.uniform1f(at.size, (size * this.canvas.width) / wide);
    for (const [flag, opacity] of passes) {
      gl.uniform1ui(at.drawn, flag);
      gl.uniform1f(at.opacity, opacity);
      gl.drawArrays(gl.POINTS, 0, this.count);
    }
  }
}
